package wire

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
)

// What is read has one spelling: whatever a parser takes, its encoder writes again.

func FuzzJoinCode(f *testing.F) {
	f.Add(JoinCode{URL: "https://gw.example", Secret: [32]byte{1}}.String())
	f.Add(JoinCode{URL: "http://127.0.0.1:8080", ID: [16]byte{1}}.String())
	f.Add("sp1-")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseJoinCode(text)
		if err == nil && c.String() != strings.Join(strings.Fields(text), "") {
			t.Errorf("two spellings of one code: %q and %q", text, c)
		}
	})
}

func FuzzBundle(f *testing.F) {
	root := newKey(f)
	good := testBundle(f, root, nil)
	f.Add(good.Body)
	f.Add(testBundle(f, root, func(b *Bundle) { b.Hosts = []string{"[::1]:443"} }).Body)
	f.Add([]byte(`{"v":1,"serial":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := Make(root, PurposeBundle, body)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseBundle(s)
		if err != nil {
			return
		}
		if !bytes.Equal(b.Root.Marshal(), root.PublicKey().Marshal()) || len(b.Hosts) == 0 || len(b.SessionCA) == 0 || len(b.SessionCA) > 2 || len(b.Gateway) > 2 {
			t.Errorf("took %s", body)
		}
	})
}

func FuzzStatus(f *testing.F) {
	ca := newKey(f)
	body, _ := json.Marshal(Status{Nonce: make([]byte, 16), State: StateOK, Time: 1_800_000_000_000, Epoch: 1})
	f.Add(body)
	f.Add([]byte(`{"n":"","n":""}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := Make(ca, PurposeStatus, body)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := ParseStatus(s, []ssh.PublicKey{ca.PublicKey()}); err == nil && st.State == "" {
			t.Errorf("took a status without a state: %s", body)
		}
	})
}

func FuzzSignature(f *testing.F) {
	k := newKey(f)
	sig, _ := Sign(k, PurposeStatus, []byte("m"))
	f.Add(sig)
	f.Add(append(bytes.Clone(sig), 0))
	f.Fuzz(func(t *testing.T, blob []byte) {
		if Verify(k.PublicKey(), PurposeStatus, []byte("m"), blob) == nil && !bytes.Equal(blob, sig) {
			t.Errorf("a second signature of one text: %x", blob)
		}
	})
}

func FuzzPass(f *testing.F) {
	ca, key := newKey(f), newKey(f)
	g := Grant{V: GrantVersion, Session: id.NewSession(), Device: Hash{1}, Login: "svc", Subject: Subject{Pseudonym: []byte{1}, Display: "T"}, Approvers: []string{}, Actions: []string{"shell:svc"}, Epoch: 1, IssuedMS: 1}
	now := time.Unix(1_800_000_000, 0)
	p, err := NewPass(g, key.PublicKey(), ca.PublicKey(), now, now.Add(time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	good, err := p.Sign(ca)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := ParsePass(raw, []ssh.PublicKey{ca.PublicKey()}); err == nil && !bytes.Equal(raw, good) {
			t.Errorf("took a pass that nobody signed: %x", raw)
		}
	})
}

func FuzzGrant(f *testing.F) {
	good, _ := MarshalCBOR(Grant{V: GrantVersion, Login: "svc", Actions: []string{"shell:svc"}, Approvers: []string{}})
	f.Add(good)
	f.Add([]byte{0xbf, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var g Grant
		if UnmarshalCBOR(raw, &g) != nil {
			return
		}
		if again, err := MarshalCBOR(g); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("two encodings of one grant: %x and %x", raw, again)
		}
	})
}

func FuzzControlMessage(f *testing.F) {
	for _, m := range []any{Open{T: TypeOpen, Ticket: make([]byte, 32), Proof: []Hash{{1}}}, Refuse{T: TypeRefuse, Clause: "owner"}, Ping{T: TypePing, Nonce: make([]byte, 16)},
		Hello{V: []int{1}, Enrol: &EnrolPart{Name: "x"}}, HelloReply{V: 1}, End{T: TypeEnd}} {
		raw, _ := json.Marshal(m)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		Decode[Hello](raw)
		Decode[HelloReply](raw)
		Decode[Refuse](raw)
		Decode[Ping](raw)
		o, err := Decode[Open](raw)
		if err != nil {
			return
		}
		again, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if o2, err := Decode[Open](again); err != nil || !reflect.DeepEqual(o, o2) {
			t.Errorf("not the same after writing: %v", err)
		}
	})
}

func FuzzStrictJSON(f *testing.F) {
	f.Add([]byte(`{"a":1,"A":2}`))
	f.Add([]byte(`{"a":[{"b":{}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var v map[string]any
		if StrictJSON(raw, &v) != nil {
			return
		}
		seen := map[string]bool{}
		for name := range v {
			if fold := strings.ToLower(name); seen[fold] {
				t.Errorf("took %s with two spellings of one name", raw)
			} else {
				seen[fold] = true
			}
		}
	})
}

func FuzzEvent(f *testing.F) {
	var b bytes.Buffer
	WriteEvent(&b, Event{Kind: EventVerdict, Channel: 1, Offset: 3, Len: 5, Hidden: true})
	f.Add(b.Bytes())
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bytes.NewReader(raw)
		e, err := ReadEvent(r)
		if err != nil {
			return
		}
		took, _ := io.ReadAll(r)
		var again bytes.Buffer
		if err := WriteEvent(&again, e); err != nil || !bytes.Equal(again.Bytes(), raw[:len(raw)-len(took)]) {
			t.Errorf("not the same after writing: %v", err)
		}
	})
}
