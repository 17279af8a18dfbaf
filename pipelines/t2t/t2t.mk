# Included by the Makefile at the root of the project: Tensor2Tensor in an environment of its own.

.PHONY: test-t2t install-t2t

T2T_VENV ?= .venv-t2t
T2T_STAMP := $(T2T_VENV)/.installed
T2T_INSTALL := $(T2T_VENV)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps

test-t2t: $(DEV) $(T2T_STAMP) ## the real Tensor2Tensor on our records (3 GB, Python 3.11)
	FEC_T2T_PYTHON=$(abspath $(T2T_VENV))/bin/python $(BIN)/pytest tests/t2t -rs --timeout 900

install-t2t: $(T2T_STAMP) ## the environment of Tensor2Tensor alone

$(T2T_STAMP): images/t2t/requirements.txt images/data/requirements-alone.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Tensor2Tensor needs Python 3.11, found: $$($(PYTHON) --version 2>&1). Try: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(T2T_VENV)
	$(T2T_INSTALL) -r images/t2t/requirements.txt
	$(T2T_INSTALL) -c constraints.txt -r images/data/requirements-alone.txt
	@touch $@
