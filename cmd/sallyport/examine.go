//go:build cgo && linux

package main

import (
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/node"
)

// examine looks at the deployment of a configuration.
func examine(a *app, path string) ([]finding, error) {
	cfg, err := loadConfig(path, (*config.Config).CheckFiles)
	if err != nil {
		return nil, err
	}
	var out []finding
	for _, f := range node.Examine(a.context(), cfg) {
		out = append(out, finding(f))
	}
	return out, nil
}
