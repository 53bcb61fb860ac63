package main

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// What a variant leaves out is named by its source, which may move.
func TestTheVariantsAreOfTheSourceAsItIs(t *testing.T) {
	for _, variant := range []string{strict, unrecorded} {
		b := &bench{root: testenv.Root()}
		list, err := b.overlay(t.TempDir(), editsOf(variant))
		if err != nil {
			t.Errorf("%s: %v", variant, err)
			continue
		}
		raw, err := os.ReadFile(list)
		var l struct{ Replace map[string]string }
		if err == nil {
			err = json.Unmarshal(raw, &l)
		}
		if err != nil || len(l.Replace) < 2 {
			t.Errorf("%s: %d files replaced, %v", variant, len(l.Replace), err)
		}
		for file, with := range l.Replace {
			if _, err := parser.ParseFile(token.NewFileSet(), with, nil, 0); err != nil {
				t.Errorf("%s: %s: %v", variant, file, err)
			}
		}
	}
}
