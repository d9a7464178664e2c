# What one types. Each target is one line into a script, cargo or mkimage; `make` alone lists them.

IMAGE := build/selix.img
ISO := build/selix.iso
MKIMAGE := cargo run --locked --package mkimage --

.PHONY: help deps run test check soak bench image iso screenshots gdb debug clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand --tabs=20

deps: ## Install the Debian packages that building and running need
	@tools/deps

run: image ## Build an image and boot it in QEMU, with its log in the terminal
	$(MKIMAGE) run $(IMAGE)

test: deps ## Run all tests: on the host, and in QEMU
	tools/test

check: deps ## Check formatting, lints and documentation
	tools/check

soak: deps ## Run the tests at full length: hours
	SELIX_SOAK=1 tools/test --release

bench: deps ## Measure the paths through the kernel, in instructions
	$(MKIMAGE) bench

image: deps ## Build build/selix.img
	$(MKIMAGE) build -o $(IMAGE)

iso: image ## Build build/selix.iso, which boots on BIOS and UEFI machines
	$(MKIMAGE) iso $(IMAGE) -o $(ISO)

screenshots: iso ## Take the pictures of docs/images
	tools/screenshots $(ISO)

gdb: deps
	@tools/deps gdb

debug: gdb image ## Boot an image that waits for gdb: see tools/selix.gdb
	tools/debug $(IMAGE)

clean: ## Remove all that was built
	rm -rf build target
