package idp

import (
	"embed"
	"io/fs"
)

//go:embed pages/*.html
var pageFiles embed.FS

func templates() fs.FS {
	sub, _ := fs.Sub(pageFiles, "pages") // embedded: it is there
	return sub
}
