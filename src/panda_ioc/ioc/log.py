"""A level of the log for puts: below INFO, so that a beamline that wants to know who set what can say so."""

import logging

PUT = 15

logging.addLevelName(PUT, "PUT")
