"""`/queues`: how much waits in each pool, and who takes it."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from workflows.api import schemas
from workflows.api.access import VIEWER
from workflows.api.bodies import answer
from workflows.api.schemas import answers, without_parameters
from workflows.runtime.queues import read_queues

router = Router(tags=["queues"])


@router.get("", auth=VIEWER, response=answers({200: schemas.QueuesAnswer}), summary="Show the queues")
@without_parameters
def list_queues(request: HttpRequest) -> HttpResponse:
    """By pool; `depth` is null while the broker is away."""
    return answer({"items": [queue.to_json() for queue in read_queues()], "next": None})
