# Included by the Makefile at the root of the project.

.PHONY: test-images

# TEST_IMAGES=data,data-faced,train,t2t,train-tpu builds and runs these too; each of the last two takes 3 GB.
TEST_IMAGES ?= data,train

test-images: $(STAMP) ## the images, built by a docker engine and run (needs root, docker and debootstrap)
	FEC_TEST_IMAGES=$(TEST_IMAGES) $(BIN)/pytest tests/images -s -rs --timeout 1800
