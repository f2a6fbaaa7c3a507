"""The configuration, typed: what can be set, where it comes from, what it is now."""

from lemline_site.config.keys import KEYS, Key
from lemline_site.config.sections import Config
from lemline_site.config.sources import Loaded, Setting, load
from lemline_site.config.values import ConfigurationError

__all__ = ["KEYS", "Config", "ConfigurationError", "Key", "Loaded", "Setting", "load"]
