# Included by the Makefile at the root of the project: Tensor2Tensor in an environment of its own.

.PHONY: test-t2t

T2T_VENV ?= .venv-t2t
T2T_STAMP := $(T2T_VENV)/.installed

test-t2t: $(DEV) $(T2T_STAMP) ## the real Tensor2Tensor on our records (3 GB, Python 3.11)
	FEC_T2T_PYTHON=$(abspath $(T2T_VENV))/bin/python $(BIN)/pytest tests/t2t -rs --timeout 900

$(T2T_STAMP): images/t2t/requirements.txt
	$(PYTHON) -m venv $(T2T_VENV)
	$(T2T_VENV)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps -r images/t2t/requirements.txt
	@touch $@
