package authz

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFile bounds one file: far beyond what people write and review.
const maxFile = 1 << 20

// node is one TOML value with its line. The plain decoder loses lines, and a problem report without a line helps
// little. So the decoder first checks the text, and then it is walked through here.
type node struct {
	line int
	kind unstable.Kind // String, Integer, Bool, Array, InlineTable (any table); others are refused by readers
	text string
	num  int64
	list []*node
	keys []string // in the file's order
	vals map[string]*node
}

func newTable(line int) *node {
	return &node{line: line, kind: unstable.InlineTable, vals: map[string]*node{}}
}

func (n *node) isTable() bool { return n != nil && n.kind == unstable.InlineTable }

func (n *node) set(key string, v *node) {
	if _, ok := n.vals[key]; !ok {
		n.keys = append(n.keys, key)
	}
	n.vals[key] = v
}

// parse reads one file into a tree.
func parse(f File) (*node, *Problem) {
	if len(f.Text) > maxFile {
		return nil, &Problem{File: f.Name, Line: 1, Text: fmt.Sprintf("the file is larger than %d KiB", maxFile>>10), Write: "several files"}
	}
	var any map[string]any
	if err := toml.Unmarshal(f.Text, &any); err != nil {
		line := 1
		if d := new(toml.DecodeError); errors.As(err, &d) {
			line, _ = d.Position()
		}
		return nil, &Problem{File: f.Name, Line: max(line, 1), Text: "not TOML: " + strings.TrimPrefix(err.Error(), "toml: ")}
	}
	w := walker{parser: &unstable.Parser{}, lines: lineStarts(f.Text)}
	root, err := w.walk(f.Text)
	if err != nil {
		return nil, &Problem{File: f.Name, Line: w.last, Text: "not TOML: " + err.Error()}
	}
	return root, nil
}

type walker struct {
	parser *unstable.Parser
	lines  []int
	last   int
}

func lineStarts(text []byte) []int {
	starts := []int{0}
	for i, c := range text {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func (w *walker) line(n *unstable.Node) int {
	if n.Raw.Length > 0 || n.Raw.Offset > 0 {
		w.last = sort.SearchInts(w.lines, int(n.Raw.Offset)+1)
	}
	return max(w.last, 1)
}

var errShape = errors.New("a table or key is defined in two ways")

func (w *walker) walk(text []byte) (*node, error) {
	w.parser.Reset(append([]byte(nil), text...)) // the parser's nodes point into its input
	root := newTable(1)
	at := root
	for w.parser.NextExpression() {
		e := w.parser.Expression()
		var err error
		switch e.Kind {
		case unstable.Table:
			at, err = w.open(root, e, false)
		case unstable.ArrayTable:
			at, err = w.open(root, e, true)
		case unstable.KeyValue:
			err = w.assign(at, e)
		}
		if err != nil {
			return nil, err
		}
	}
	return root, w.parser.Error()
}

// open finds or makes the table that a header names.
func (w *walker) open(root *node, e *unstable.Node, array bool) (*node, error) {
	at := root
	it := e.Key()
	for it.Next() {
		key, line := string(it.Node().Data), w.line(it.Node())
		next := at.vals[key]
		if it.IsLast() && array {
			if next == nil {
				next = &node{line: line, kind: unstable.Array}
				at.set(key, next)
			}
			next.list = append(next.list, newTable(line))
		} else if next == nil {
			next = newTable(line)
			at.set(key, next)
		}
		if next.kind == unstable.Array && len(next.list) > 0 {
			next = next.list[len(next.list)-1]
		}
		if !next.isTable() {
			return nil, errShape
		}
		if it.IsLast() {
			next.line = line
		}
		at = next
	}
	return at, nil
}

// assign sets a possibly dotted key of a table.
func (w *walker) assign(at *node, e *unstable.Node) error {
	it := e.Key()
	for it.Next() {
		key, line := string(it.Node().Data), w.line(it.Node())
		if it.IsLast() {
			v, err := w.value(e.Value(), line)
			if err == nil {
				at.set(key, v)
			}
			return err
		}
		next := at.vals[key]
		if next == nil {
			next = newTable(line)
			at.set(key, next)
		}
		if !next.isTable() {
			return errShape
		}
		at = next
	}
	return nil
}

func (w *walker) value(e *unstable.Node, line int) (*node, error) {
	n := &node{line: line, kind: e.Kind}
	if e.Kind != unstable.Array && e.Kind != unstable.InlineTable {
		n.line = w.line(e)
	}
	switch e.Kind {
	case unstable.Array:
		for it := e.Children(); it.Next(); {
			c, err := w.value(it.Node(), w.last)
			if err != nil {
				return nil, err
			}
			n.list = append(n.list, c)
		}
	case unstable.InlineTable:
		n.vals = map[string]*node{}
		for it := e.Children(); it.Next(); {
			if err := w.assign(n, it.Node()); err != nil {
				return nil, err
			}
		}
	default:
		n.text = string(e.Data)
		n.num, _ = strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 64)
	}
	return n, nil
}
