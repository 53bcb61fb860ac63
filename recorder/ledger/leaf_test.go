package ledger

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
)

func someOpen() OpenBody {
	prev := uint64(7)
	return OpenBody{Session: id.NewSession(), Part: 1, Device: [32]byte{1}, DeviceFP: [32]byte{2}, H0: [32]byte{3},
		Pass: [32]byte{4}, SlotRK: [32]byte{5},
		SlotSK: [32]byte{6}, GatewayKey: [32]byte{7}, GatewayPub: bytes.Repeat([]byte{8}, 32), RetainUntil: 9,
		PrevOpen: &prev}
}

func TestBodiesReadBackAsTheyWere(t *testing.T) {
	o := someOpen()
	raw, err := o.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseOpenBody(raw)
	if err != nil || *back.PrevOpen != 7 || back.Session != o.Session ||
		!bytes.Equal(back.GatewayPub, o.GatewayPub) || back.RetainUntil != 9 {
		t.Errorf("got %+v, %v", back, err)
	}
	c := CloseBody{Session: o.Session, Open: 3, HFinal: [32]byte{1}, Seq: 9, Bytes: 1 << 40, Gaps: 2, Reason: "exit",
		AtMS: 5}
	raw, _ = c.Marshal()
	if back, err := ParseCloseBody(raw); err != nil || back != c {
		t.Errorf("got %+v, %v; want %+v", back, err, c)
	}
	raw, _ = EventBody{By: "x", AtMS: 4}.Marshal()
	if back, err := ParseEventBody(raw); err != nil || back.By != "x" || len(back.Fields) != 0 {
		t.Errorf("got %+v, %v", back, err)
	}
}

func TestALeafHasOneForm(t *testing.T) {
	good, err := Leaf{Type: "open", Ref: []uint64{1}, Commit: [32]byte{9}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseLeaf(good); err != nil {
		t.Fatal(err)
	}
	empty, _ := Leaf{Type: "open"}.Marshal()
	null := bytes.Replace(empty, []byte("cref\x80"), []byte("cref\xf6"), 1)
	if bytes.Equal(null, empty) {
		t.Fatal("the test found no empty list")
	}
	for name, raw := range map[string][]byte{"a byte more": append(bytes.Clone(good), 0), "a null list": null,
		"a long number": bytes.Replace(good, []byte("cref\x81\x01"), []byte("cref\x81\x18\x01"), 1),
		"no such type":  bytes.Replace(good, []byte("dopen"), []byte("dopem"), 1), "cut off": good[:len(good)-1],
		"nothing": {}, "too long": make([]byte, maxLeaf+1)} {
		if _, err := ParseLeaf(raw); err == nil {
			t.Errorf("%s: taken as a leaf", name)
		}
	}
	event, _ := EventBody{}.Marshal()
	if _, err := ParseEventBody(bytes.Replace(event, []byte("fields\xa0"), []byte("fields\xf6"), 1)); err == nil {
		t.Error("a null map is taken as a body")
	}
}

func TestACheckpointHasOneForm(t *testing.T) {
	l, _, _, v := newLog(t)
	add(t, l, entry("viewed", "x"))
	good := string(l.Head().Note)
	if cp, err := ParseCheckpoint([]byte(good), v); err != nil || cp.Size != 1 || cp.Origin != origin {
		t.Fatalf("got %+v, %v", cp, err)
	}
	sig := good[strings.LastIndex(good, "\u2014"):]
	b64 := strings.TrimSuffix(sig[strings.LastIndex(sig, " ")+1:], "\n")
	stray := []byte(b64)
	i := strings.IndexByte(b64, '=') - 1
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	stray[i] = alphabet[strings.IndexByte(alphabet, stray[i])^1]
	if a, _ := base64.StdEncoding.DecodeString(b64); a == nil {
		t.Fatal("the signature is not base64")
	}
	_, other := newKey(t)
	for name, text := range map[string]string{"a signature twice": good + sig,
		"stray bits in the signature": strings.Replace(good, b64, string(stray), 1),
		"a foreign signature more":    good + "\u2014 witness AAAAAAAA\n",
		"another size":                strings.Replace(good, "\n1\n", "\n2\n", 1),
		"a line more":                 strings.Replace(good, "\n\n", "\nx\n\n", 1), "nothing": ""} {
		if _, err := ParseCheckpoint([]byte(text), v); err == nil {
			t.Errorf("%s: taken as a checkpoint", name)
		}
	}
	if _, err := ParseCheckpoint([]byte(good), other); err == nil {
		t.Error("a checkpoint passes under another key")
	}
	for at := range good {
		bad := []byte(good)
		bad[at] ^= 0x02
		if _, err := ParseCheckpoint(bad, v); err == nil {
			t.Errorf("byte %d is changed and the checkpoint passes", at)
		}
	}
}

func FuzzLeaf(f *testing.F) {
	for _, l := range []Leaf{{Type: "open"}, {Type: "close", Ref: []uint64{1, 1 << 40}, Commit: [32]byte{7}}} {
		raw, _ := l.Marshal()
		f.Add(raw)
	}
	raw, _ := someOpen().Marshal()
	f.Add(raw)
	raw, _ = EventBody{By: "x", Fields: map[string]string{"a": "b"}}.Marshal()
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if l, err := ParseLeaf(raw); err == nil {
			if again, err := l.Marshal(); err != nil || !bytes.Equal(again, raw) {
				t.Errorf("a leaf has two forms: %x and %x (%v)", raw, again, err)
			}
		}
		if b, err := ParseOpenBody(raw); err == nil {
			if again, _ := b.Marshal(); !bytes.Equal(again, raw) {
				t.Errorf("an open body has two forms: %x and %x", raw, again)
			}
		}
		if b, err := ParseCloseBody(raw); err == nil {
			if again, _ := b.Marshal(); !bytes.Equal(again, raw) {
				t.Errorf("a close body has two forms: %x and %x", raw, again)
			}
		}
		if b, err := ParseEventBody(raw); err == nil {
			if again, _ := b.Marshal(); !bytes.Equal(again, raw) {
				t.Errorf("an event body has two forms: %x and %x", raw, again)
			}
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	s, v := newKey(f)
	for _, size := range []uint64{0, 1, 1 << 40} {
		cp, err := signCheckpoint(origin, size, [32]byte{1}, s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(cp.Note)
	}
	f.Add([]byte("test/log\n1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		cp, err := ParseCheckpoint(raw, v)
		if err != nil {
			return
		}
		if again, err := signCheckpoint(cp.Origin, cp.Size, cp.Root, s); err != nil || !bytes.Equal(again.Note, raw) {
			t.Errorf("a checkpoint has two forms: %q and %q (%v)", raw, again.Note, err)
		}
	})
}

func TestAnEventWithTextThatIsNotUTF8CanBeReadAgain(t *testing.T) {
	raw, err := EventBody{By: "a\xff", Fields: map[string]string{"w\xc0hy": "b\xfe"}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseEventBody(raw)
	if err != nil || b.By != "a\ufffd" || b.Fields["w\ufffdhy"] != "b\ufffd" {
		t.Errorf("got %+v, %v", b, err)
	}
}
