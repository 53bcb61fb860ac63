package bundle

import (
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

// TestSlotFilesAreHeldToTheirOpenLeafInACensus, because a recording cannot be read if its slot files were removed or
// replaced.
func TestSlotFilesAreHeldToTheirOpenLeafInACensus(t *testing.T) {
	h := newHouse(t)
	_, ran := h.forge(nil)
	rkName, skName := format.SlotNames(ran.SID, 0)
	rk, sk := h.Find(rkName), h.Find(skName)
	wasRK, wasSK := must(os.ReadFile(rk))(t), must(os.ReadFile(sk))(t)
	path := h.Find(format.FileName(ran.SID, 0))
	other := sealtest.Filled(9)
	put := func(path string, raw []byte) {
		if raw == nil {
			os.Remove(path)
		} else if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct {
		rk, sk []byte
		alone  bool // the recording alone shows it too: it may be without its slot files
	}{
		"a removed reader's slot":   {nil, wasSK, false},
		"a removed unsealer's slot": {wasRK, nil, false},
		"swapped":                   {wasSK, wasRK, true},
		"other keys":                {wasRK, other[:], true},
		"an empty file":             {[]byte{}, wasSK, true},
		"too large":                 {make([]byte, maxSlot+1), wasSK, true},
	} {
		put(rk, c.rk)
		put(sk, c.sk)
		_, err := h.census(Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()})
		wantRule(t, what, err, RuleSlot)
		_, err = VerifyRecording(t.Context(), path, Options{LogKey: h.LogKey, LogDir: h.LogDir()})
		if c.alone {
			wantRule(t, what+", a recording alone", err, RuleSlot)
		} else if err != nil {
			t.Errorf("%s, a recording alone: got %v", what, err)
		}
	}
	put(rk, nil)
	put(sk, nil)
	h.Event("shredded", ran.SID.String(), ran.Parts[0].Open)
	rep, err := h.census(Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()})
	if err != nil || !strings.Contains(text(rep), "every slot file is the one that its open leaf names") {
		t.Errorf("shredded keys: got %v\n%s", err, text(rep))
	}
	put(sk, wasRK)
	_, err = h.census(Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()})
	wantRule(t, "another file in the place of a shredded one", err, RuleSlot)
}
