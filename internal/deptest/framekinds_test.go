package deptest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/recorder/format"
)

// reserved kinds have a letter in version 1 and are written by nothing yet.
const reserved = "KindKeyframe KindFile KindForward KindWeb KindDesktop"

// handlers are the places that have to handle each kind of frame, by the names of the constants.
var handlers = []struct {
	place string
	files []string
	// without says which kinds need nothing there, and why.
	without map[string]string
}{
	{"the writer", []string{"recorder/writer/record.go", "recorder/writer/verdict.go", "recorder/seal/sealer.go"},
		map[string]string{reserved: "written by nothing yet"}},
	{"the verifier", []string{"recorder/reader/tally.go", "recorder/reader/opener.go"}, map[string]string{
		"KindResize KindExit": "the frame is read strictly, and nothing is counted",
		"KindNotice":          "the bundle has the log's entries themselves",
		reserved:              "their data is not defined yet"}},
	{"the timeline", []string{"recorder/archive/timeline.go", "recorder/archive/typing.go"},
		map[string]string{"KindFile KindForward KindWeb KindDesktop": "shown as a frame that cannot be shown"}},
	{"the player", []string{"recorder/archive/play.go"}, map[string]string{
		"KindSealed KindAnchor KindNotice KindAttest KindGap": "not on a screen; the timeline beside it has them",
		reserved: "written by nothing yet"}},
}

// TestEveryFrameKindIsHandled: a kind that one place does not know would be missing from what people see of a record.
func TestEveryFrameKindIsHandled(t *testing.T) {
	names := kindNames(t)
	for _, h := range handlers {
		used := map[string]bool{}
		for _, file := range h.files {
			for _, name := range identifiers(t, file) {
				used[name] = true
			}
		}
		none := map[string]bool{}
		for group := range h.without {
			for name := range strings.FieldsSeq(group) {
				if none[name] = true; !slices.Contains(names, name) {
					t.Errorf("%s: %s is no kind of frame", h.place, name)
				}
			}
		}
		for _, name := range names {
			switch {
			case !used[name] && !none[name]:
				t.Errorf("%s (%s) does not handle %s", h.place, strings.Join(h.files, ", "), name)
			case used[name] && none[name]:
				t.Errorf("%s handles %s, so it needs no exception", h.place, name)
			}
		}
	}
}

// TestTheRecordPageShowsEveryListOfTheTimeline: what the timeline finds must be a row of the transcript, or a channel of
// which rows are.
func TestTheRecordPageShowsEveryListOfTheTimeline(t *testing.T) {
	var raw []byte
	for _, file := range []string{"script.ts", "channels.ts"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "web", "ui", "src", "base", file))
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, text...)
	}
	lists := 0
	for f := range reflect.TypeFor[archive.Timeline]().Fields() {
		if f.Type.Kind() != reflect.Slice {
			continue
		}
		name := strings.ToLower(f.Name)
		if lists++; !strings.Contains(string(raw), "t."+name) {
			t.Errorf("web/ui/src/base/script.ts and channels.ts do not use the timeline's list %s", name)
		}
	}
	if lists < 5 {
		t.Errorf("found %d lists in the timeline, want at least input, commands, notes, gaps and idle", lists)
	}
}

// kindNames gives the names of the constants of type Kind, and holds them to the table of kinds.
func kindNames(t *testing.T) []string {
	t.Helper()
	letters := map[format.Kind]string{}
	var names []string
	ast.Inspect(parsed(t, "recorder/format/kinds.go"), func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		if typ, ok := v.Type.(*ast.Ident); ok && typ.Name == "Kind" {
			letter, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			letters[format.Kind(letter[0])] = v.Names[0].Name
			names = append(names, v.Names[0].Name)
		}
		return true
	})
	for _, k := range format.Kinds() {
		if letters[k] == "" {
			t.Errorf("the table has a kind %q without a constant", byte(k))
		}
		delete(letters, k)
	}
	for _, name := range letters {
		t.Errorf("%s is not in the table of kinds", name)
	}
	return names
}

func identifiers(t *testing.T, file string) (names []string) {
	t.Helper()
	ast.Inspect(parsed(t, file), func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			names = append(names, id.Name)
		}
		return true
	})
	return names
}

func parsed(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", filepath.FromSlash(file)), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
