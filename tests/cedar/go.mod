// A module of its own, so that the product depends on no policy engine. Where both name a module its version is that of the
// product: `go mod tidy` here after it changed there.
module github.com/sallyport/sallyport/tests/cedar

go 1.26.0

require (
	github.com/cedar-policy/cedar-go v1.9.1
	github.com/pelletier/go-toml/v2 v2.4.3
	github.com/sallyport/sallyport v0.0.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	golang.org/x/exp v0.0.0-20220921023135-46d9e7742f1e // indirect
)

replace github.com/sallyport/sallyport => ../..
