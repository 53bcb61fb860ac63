package bundle

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
)

type house struct {
	*bundletest.House
	t testing.TB
}

func newHouse(t testing.TB) *house { return &house{bundletest.New(t), t} }

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (h *house) both() []age.Identity { return []age.Identity{h.Reader, h.Officer} }

func (h *house) export(r bundletest.Ran) []byte {
	h.t.Helper()
	e := Export{Session: r.SID, Dir: h.Recordings(), HostKey: h.Host.Marshal(),
		Policy: [][]byte{[]byte(bundletest.Policy)}}
	for _, p := range r.Parts {
		e.Parts = append(e.Parts, Part(p))
	}
	var out bytes.Buffer
	if err := Write(h.t.Context(), &out, bundletest.Access{Service: h.Signer}, e); err != nil {
		h.t.Fatal(err)
	}
	return out.Bytes()
}

// check verifies a bundle's bytes.
func check(t testing.TB, raw []byte, opt Options) (*Report, error) {
	t.Helper()
	s, err := reads(raw)
	if err != nil {
		return nil, err
	}
	return Verify(t.Context(), s, opt)
}

func reads(raw []byte) (*Source, error) {
	s := &Source{name: "b.bundle", pieces: map[string]*io.SectionReader{}}
	return s, s.read(bytes.NewReader(raw), int64(len(raw)))
}

func text(r *Report) string {
	raw, _ := json.Marshal(r.Lines)
	return string(raw)
}
