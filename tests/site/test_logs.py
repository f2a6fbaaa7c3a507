import json
import logging

from lemline_site.logs import Json, Text


def record(**fields):
    made = logging.LogRecord("lemline.stepper", logging.INFO, __file__, 1, "step.%s", ("taken",), None)
    vars(made).update(fields)
    return made


def test_a_line_of_text_has_the_event_and_its_fields():
    assert (
        Text().format(record(instance_id="a", step=3)).endswith("INFO lemline.stepper step.taken instance_id=a step=3")
    )


def test_a_line_of_json_is_one_object_whatever_its_fields_hold():
    line = json.loads(Json().format(record(step=3, what=object())))

    assert (line["event"], line["level"], line["step"]) == ("step.taken", "INFO", 3)
    assert line["what"].startswith("<object")
