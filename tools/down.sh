#!/usr/bin/env bash
# make down: stops the cluster that `make up` started, from another terminal.
cd "$(dirname "$0")/.." && exec build/bin/fairlead down
