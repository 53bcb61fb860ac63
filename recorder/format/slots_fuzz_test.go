package format

import (
	"bytes"
	"testing"

	"filippo.io/age"
)

// FuzzSlot: a slot file that opens is the one that was made, byte for byte: nobody without a key makes another of it.
func FuzzSlot(f *testing.F) {
	id, err := age.ParseX25519Identity("AGE-SECRET-KEY-184JMZMVQH3E6U0PSL869004Y3U2NYV7R30EU99CSEDNPH02YUVFSZW44VU")
	if err != nil {
		f.Fatal(err)
	}
	key := [32]byte{1, 2, 3}
	good, err := Wrap(&key, []age.Recipient{id.Recipient()})
	if err != nil {
		f.Fatal(err)
	}
	if got, err := Unlock(bytes.NewReader(good), id); err != nil || got != key {
		f.Fatalf("got %x, %v", got, err)
	}
	var short bytes.Buffer
	w, _ := age.Encrypt(&short, id.Recipient())
	w.Write(key[:31])
	w.Close()
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add(short.Bytes())
	f.Add([]byte("age-encryption.org/v1\n-> scrypt AAAA 22\n\n---"))
	f.Fuzz(func(t *testing.T, slot []byte) {
		// Those of other processes of the run, which are sealed anew, hold the same key.
		if got, err := Unlock(bytes.NewReader(slot), id); err == nil && (got != key || len(slot) != len(good)) {
			t.Errorf("%x opens and gives %x", slot, got)
		}
	})
}

// FuzzFrameData: what stands in a frame about something that happened has one encoding.
func FuzzFrameData(f *testing.F) {
	for _, v := range []any{Command{Ch: 1, Source: "agent.exec", Argv: []string{"ls", "-l"}},
		Note{Kind: NoteMarker, Text: "here"}, Gap{Reason: "x", From: 1, To: 2, Bytes: 3}} {
		raw, err := Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add(AppendResize(nil, 1, 80, 24))
	f.Add(AppendAnchor(nil, 1<<60, true))
	f.Add([]byte{1, 0, 'I', 'N', 'T'})
	f.Add(make([]byte, 33))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fr := &Frame{Data: raw}
		fr.Exit()
		fr.Attest()
		again := func(what string, got []byte, err error) {
			if err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%s: %x is written again as %x, %v", what, raw, got, err)
			}
		}
		if ch, cols, rows, err := fr.Resize(); err == nil {
			again("resize", AppendResize(nil, ch, cols, rows), nil)
		}
		if a, err := fr.Anchor(); err == nil {
			again("anchor", AppendAnchor(nil, a.WallNs, a.Step), nil)
		}
		if v, err := fr.Command(); err == nil {
			got, err := Encode(v)
			again("command", got, err)
		}
		if v, err := fr.Note(); err == nil {
			got, err := Encode(v)
			again("note", got, err)
		}
		if v, err := fr.Gap(); err == nil {
			got, err := Encode(v)
			again("gap", got, err)
		}
		var rec CloseRecord
		if DecodeExact(raw, &rec) == nil {
			got, err := Encode(rec)
			again("close", got, err)
		}
	})
}
