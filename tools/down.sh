#!/usr/bin/env bash
# make down: stops the cluster that `make up` started, from another terminal. DOWN_ARGS goes to `fairlead down`: its --dir.
# shellcheck disable=SC2086 # several words are meant
cd "$(dirname "$0")/.." && exec build/bin/fairlead down ${DOWN_ARGS:-}
