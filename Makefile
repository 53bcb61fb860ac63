# Two commands are all a newcomer needs: `make demo` and `make test`. Both do what is missing of the set-up first.
SHELL := /bin/bash
GO    ?= go
TAGS  := sqlite_fts5
OUT   := bin
LDFLAGS := -s -w
SOURCES := $(shell find . -name '*.go' -not -path './web/ui/*' -not -path '*/node_modules/*' 2>/dev/null) go.mod go.sum
UI      := $(shell find web/ui -type f -not -path '*/node_modules/*' 2>/dev/null)

.PHONY: all demo test setup build web agents clients lint race vuln bench fuzz operations soak clean
all: build

demo: build
	$(OUT)/sallyport demo $(DEMO)

test: build
	@deploy/test.sh

setup:
	@deploy/setup.sh

build: setup web $(OUT)/sallyport $(OUT)/sallyport-agent $(OUT)/sallyport-verify

web: web/dist/index.html

web/dist/index.html: $(UI)
	@deploy/setup.sh
	cd web/ui && npm run --silent build

$(OUT)/sallyport: $(SOURCES) web/dist/index.html
	@mkdir -p $(OUT)
	$(GO) build -tags $(TAGS) -o $@ ./cmd/sallyport

$(OUT)/sallyport-agent: $(SOURCES)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/sallyport-agent

$(OUT)/sallyport-verify: $(SOURCES)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/sallyport-verify

# Every system an agent or a client is built for.
agents:
	@for a in amd64 arm64 arm mipsle riscv64; do echo "agent linux/$$a"; \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$a $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(OUT)/sallyport-agent-linux-$$a ./cmd/sallyport-agent || exit 1; done

clients:
	@for t in windows/amd64 darwin/arm64 linux/amd64; do echo "client $$t"; \
	  CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(OUT)/sallyport-$${t%/*}-$${t#*/} ./cmd/sallyport || exit 1; done

lint:
	for module in . tests/cedar tests/dex; do (cd $$module && $(GO) vet -tags $(TAGS) ./... && $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -tags $(TAGS) ./... && \
	  $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...) || exit 1; done
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }

# What runs at once, under the race detector: RACE="./gateway/..." for some of it. The measurements are left out, they would measure the detector.
RACE ?= $$($(GO) list -tags $(TAGS) ./... | grep -v /internal/bench)
race: web
	$(GO) test -race -tags $(TAGS) -timeout 40m $(RACE)

# Known faults in what is built in here. It asks vuln.go.dev, and fails where that does not answer.
vuln:
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -tags $(TAGS) ./...

bench: build
	@deploy/bench.sh

fuzz:
	@deploy/fuzz.sh

# Rehearses docs/operations.md on hosts made of namespaces, as root: about seven minutes. OPERATIONS=short is what `make test` runs.
operations: build
	deploy/operations/run.sh $(OPERATIONS)

# Half an hour of a whole site at work, and kill -9 again and again. SOAK=3m for a short one; ONLY=StaysFlat or ONLY=Kill for one of them.
SOAK ?= 30m
soak: build
	SOAK=$(SOAK) $(GO) test -tags '$(TAGS) soak' -timeout 90m -count=1 -v -run 'Soak.*$(ONLY)' ./internal/e2e

clean:
	rm -rf $(OUT)
