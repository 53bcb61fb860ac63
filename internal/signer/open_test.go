package signer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func TestAPassIsAnnouncedBeforeItIsSigned(t *testing.T) {
	h := newHouse(t)
	r := h.request(tess, "press-1")
	r.AckSize = 2
	old := h.log.Head()
	o, err := h.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	p, err := wire.ParsePass(o.Pass, h.ca())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ledger.ParseLeaf(o.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	body, err := ledger.ParseOpenBody(o.Body)
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Type != "open" || leaf.Commit != ledger.Commit([16]byte(o.Nonce), o.Body) {
		t.Error("the leaf does not commit to the body")
	}
	if body.Pass != [32]byte(p.Hash) || body.H0 != [32]byte(r.H0) || body.Session != r.Session || body.SlotRK != [32]byte(r.SlotRK) || string(body.GatewayPub) != string(r.RecordKey) {
		t.Errorf("the body does not name this pass and recording: %+v", body)
	}
	cp, err := ledger.ParseCheckpoint(o.Checkpoint, h.keys.logVerifier)
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.CheckInclusion(o.Leaf, o.Index, cp.Size, cp.Root, raw(o.Proof)); err != nil {
		t.Error(err)
	}
	two, err := h.log.ProveConsistency(2, old.Size)
	if err != nil || len(two) == 0 {
		t.Fatal(err)
	}
	if p.Grant.Session != r.Session || p.Grant.Device != machine("press-1", "1").FP || p.Grant.Login != "svc" || !slices.Equal(p.Scope.Words(), []string{"shell:svc"}) || p.Grant.PolicySHA256 != o.PolicySHA {
		t.Errorf("got grant %+v", p.Grant)
	}
	if want := t0.Add(time.Hour); !p.Until().Equal(want) {
		t.Errorf("got end %s, want %s", p.Until(), want)
	}
	if body.Device == [32]byte(p.Grant.Device) {
		t.Error("the leaf's pseudonym is the device's fingerprint")
	}
}

func TestWithoutTheLogThereIsNoPass(t *testing.T) {
	h := newHouse(t)
	h.log.Close()
	o, err := h.Open(t.Context(), h.request(tess, "press-1"))
	wantKind(t, "a log that takes nothing", err, errkind.Unavailable)
	if o.Pass != nil {
		t.Error("a pass was signed")
	}
}

func TestTheLongestPassStillHasAPassesShape(t *testing.T) {
	h := newHouse(t)
	h.Service.cfg.PassTime = 48 * time.Hour
	o, err := h.Open(t.Context(), h.request(tess, "press-1"))
	if err != nil {
		t.Fatal(err)
	}
	if d := o.Until.Sub(t0); d > wire.MaxPassTime || d < wire.MaxPassTime-time.Minute {
		t.Errorf("got %s, want just below %s", d, wire.MaxPassTime)
	}
}

func TestEvidenceThatDoesNotHoldGivesNoPass(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		what   string
		e      Evidence
		change func(*OpenRequest)
		kind   errkind.Kind
	}{
		{"nothing", Evidence{}, nil, errkind.Signin},
		{"a forged id token", evidence("eyJhbGciOiJub25lIn0.e30."), nil, errkind.Signin},
		{"two kinds at once", Evidence{IDToken: "tess", APIToken: "spt_robot"}, nil, errkind.Signin},
		{"an unknown API token", Evidence{APIToken: "spt_guess"}, nil, errkind.Signin},
		{"an API token from elsewhere", robot, func(r *OpenRequest) { r.Evidence.ClientAddr = "192.0.2.1" }, errkind.Signin},
		{"an API token from nowhere", robot, func(r *OpenRequest) { r.Evidence.ClientAddr = "" }, errkind.Signin},
		{"somebody without a rule", evidence("nobody"), nil, errkind.Denied},
		{"an administrator", ada, nil, errkind.Denied},
		{"groups that exclude each other", evidence("both"), nil, errkind.Denied},
		{"another login", tess, func(r *OpenRequest) { r.Login = "root" }, errkind.Denied},
		{"a device that is not there", tess, func(r *OpenRequest) { r.Device = "press-9" }, errkind.Denied},
		{"a shell where only a command is given", tess, func(r *OpenRequest) { r.Device = "press-2" }, errkind.Denied},
		{"another command", tess, func(r *OpenRequest) { r.Device, r.Argv = "press-2", []string{"/usr/bin/uptime", "-s"} }, errkind.Denied},
		{"no recording", tess, func(r *OpenRequest) { r.H0 = wire.Hash{} }, errkind.Usage},
		{"no record key", tess, func(r *OpenRequest) { r.RecordKey = nil }, errkind.Usage},
		{"no session key", tess, func(r *OpenRequest) { r.SessionKey = []byte("x") }, errkind.Usage},
		{"a session key that no pass can have", tess, func(r *OpenRequest) { r.SessionKey = ecdsaKey(t) }, errkind.Usage},
		{"a part without the one before", tess, func(r *OpenRequest) { r.Part = 1 }, errkind.Usage},
		{"a part after a leaf that is no open leaf", tess, func(r *OpenRequest) { r.Part, r.PrevOpen = 1, new(uint64) }, errkind.Usage},
	} {
		r := h.request(c.e, "press-1")
		if c.change != nil {
			c.change(&r)
		}
		size := h.log.Head().Size
		o, err := h.Open(t.Context(), r)
		wantKind(t, c.what, err, c.kind)
		if o.Pass != nil || h.log.Head().Size != size {
			t.Errorf("%s: a pass or a leaf came of it", c.what)
		}
	}
}

func ecdsaKey(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pub.Marshal()
}

func TestADeviceThatIsNotThereAndOneNotVisibleReadTheSame(t *testing.T) {
	h := newHouse(t)
	e := evidence("nobody")
	_, there := h.Open(t.Context(), h.request(e, "press-1"))
	_, not := h.Open(t.Context(), h.request(e, "press-9"))
	if a, b := there.Error(), strings.Replace(not.Error(), "press-9", "press-1", 1); a != b {
		t.Errorf("got %q and %q", a, b)
	}
}

func TestEvidenceAges(t *testing.T) {
	h := newHouse(t)
	h.pass(59 * time.Minute)
	for _, e := range []Evidence{tess, robot} {
		if _, err := h.Open(t.Context(), h.request(e, "press-1")); err != nil {
			t.Errorf("%+v after 59 minutes: %v", e, err)
		}
	}
	h.pass(time.Minute)
	_, err := h.Open(t.Context(), h.request(robot, "press-1"))
	wantKind(t, "an API token at its end", err, errkind.Signin)
	h.pass(11*time.Hour + time.Second)
	_, err = h.Open(t.Context(), h.request(tess, "press-1"))
	wantKind(t, "a sign-in older than the limit", err, errkind.Signin)
}

func TestACommandIsExactFirstAndAShellOtherwise(t *testing.T) {
	h := newHouse(t)
	r := h.request(tess, "press-2")
	r.Argv = []string{"/usr/bin/uptime", "-p"}
	o, err := h.Open(t.Context(), r)
	if got := scopeWords(o.Pass); err != nil || !slices.Equal(got, []string{"run:svc /usr/bin/uptime -p"}) || o.Rule != "A2" {
		t.Errorf("exact command: got %v %s %v", got, o.Rule, err)
	}
	r = h.request(tess, "press-1")
	r.Argv = []string{"cat", "/etc/hosts"}
	o, err = h.Open(t.Context(), r)
	if got := scopeWords(o.Pass); err != nil || !slices.Equal(got, []string{"shell:svc"}) || o.Rule != "A1" {
		t.Errorf("command under a shell: got %v %s %v", got, o.Rule, err)
	}
}

// scopeWords reads what a pass permits; nothing of what is no pass.
func scopeWords(pass []byte) []string {
	p, err := wire.ReadPass(pass)
	if err != nil {
		return nil
	}
	return p.Scope.Words()
}

func TestAFurtherPartNamesTheOneBefore(t *testing.T) {
	h := newHouse(t)
	r := h.request(tess, "press-1")
	first, err := h.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	r.Part, r.PrevOpen = 1, &first.Index
	if _, err := h.Open(t.Context(), r); err != nil {
		t.Error(err)
	}
	other := h.request(tess, "press-1")
	other.Part, other.PrevOpen = 1, &first.Index
	_, err = h.Open(t.Context(), other)
	wantKind(t, "another session's part", err, errkind.Usage)
}

func TestAfterARevocationIsInTheLogNoPassIsAnnounced(t *testing.T) {
	h := newHouse(t)
	revoked := make(chan Appended, 1)
	began := false
	h.Service.cfg.Now = func() time.Time { // the last look at the clock stands between the decision and the leaf
		if h.log.Head().Size == 4 && !began && called(t, "announce") {
			began = true
			ended := make(chan bool)
			go func() {
				defer close(ended)
				a, err := h.Restrict(context.Background(), machine("press-1", "1").FP, wire.StateRevoked, "stolen")
				if err != nil {
					t.Error(err)
				}
				revoked <- a
			}()
			select {
			case <-ended:
			case <-time.After(50 * time.Millisecond): // it waits for the pass, as it must
			}
		}
		return t0
	}
	o, err := h.Open(t.Context(), h.request(tess, "press-1"))
	if err != nil {
		t.Fatal(err)
	}
	if !began {
		t.Fatal("nothing was revoked meanwhile")
	}
	if a := <-revoked; a.Index < o.Index {
		t.Errorf("entry %d is an open leaf after the revocation at %d", o.Index, a.Index)
	}
	_, err = h.Open(t.Context(), h.request(tess, "press-1"))
	wantKind(t, "after the revocation", err, errkind.Denied)
}

// called reports whether a method of the service is being run by this goroutine.
func called(t *testing.T, method string) bool {
	t.Helper()
	return strings.Contains(string(debug.Stack()), "signer.(*Service)."+method+"(")
}

func TestManyAtOnceEachGetTheirOwnLeaf(t *testing.T) {
	h := newHouse(t)
	const n = 40
	var mu sync.Mutex
	seen := map[uint64]id.Session{}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			r := h.request(tess, "press-1")
			o, err := h.Open(context.Background(), r)
			if err != nil {
				t.Error(err)
				return
			}
			cp, err := ledger.ParseCheckpoint(o.Checkpoint, h.keys.logVerifier)
			if err != nil || ledger.CheckInclusion(o.Leaf, o.Index, cp.Size, cp.Root, raw(o.Proof)) != nil {
				t.Errorf("entry %d is not proven (%v)", o.Index, err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[o.Index] = r.Session
		})
	}
	wg.Wait()
	if len(seen) != n {
		t.Errorf("got %d leaves for %d sessions", len(seen), n)
	}
}

func raw(in []wire.Hash) [][32]byte {
	out := make([][32]byte, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}

func TestLeavesOfTheSignersOwnTypesAreRefused(t *testing.T) {
	h := newHouse(t)
	body, _ := ledger.EventBody{By: "x"}.Marshal()
	for _, typ := range ownTypes {
		_, err := h.Append(t.Context(), AppendRequest{Type: typ, Body: body})
		wantKind(t, typ, err, errkind.Denied)
	}
	_, err := h.Append(t.Context(), AppendRequest{Type: "made-up", Body: body})
	wantKind(t, "an unknown type", err, errkind.Usage)
	_, err = h.Append(t.Context(), AppendRequest{Type: "viewed", Ref: []uint64{1 << 40}, Body: body})
	wantKind(t, "a reference to nothing", err, errkind.Usage)
	if _, err := h.Append(t.Context(), AppendRequest{Type: "viewed", Ref: []uint64{0}, Body: body}); err != nil {
		t.Error(err)
	}
}

func TestAnEndBelongsToItsOwnBeginning(t *testing.T) {
	h := newHouse(t)
	r := h.request(tess, "press-1")
	o, err := h.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	good := ledger.CloseBody{Session: r.Session, Open: o.Index, HFinal: [32]byte{1}, Reason: "exit"}
	for what, c := range map[string]struct {
		ref  []uint64
		body func(b *ledger.CloseBody)
	}{"no reference": {nil, func(*ledger.CloseBody) {}}, "another reference": {[]uint64{0}, func(*ledger.CloseBody) {}},
		"another session": {[]uint64{o.Index}, func(b *ledger.CloseBody) { b.Session = id.NewSession() }}, "another part": {[]uint64{o.Index}, func(b *ledger.CloseBody) { b.Part = 1 }},
		"a leaf that is no open leaf": {[]uint64{0}, func(b *ledger.CloseBody) { b.Open = 0 }}} {
		b := good
		c.body(&b)
		raw, _ := b.Marshal()
		_, err := h.Append(t.Context(), AppendRequest{Type: "close", Ref: c.ref, Body: raw})
		wantKind(t, what, err, errkind.Usage)
	}
	raw, _ := good.Marshal()
	if _, err := h.Append(t.Context(), AppendRequest{Type: "close", Ref: []uint64{o.Index}, Body: raw}); err != nil {
		t.Error(err)
	}
	_, err = h.Append(t.Context(), AppendRequest{Type: "interrupted", Ref: []uint64{o.Index}, Body: raw})
	wantKind(t, "a second end", err, errkind.Conflict)
	h.Close()
	if h.Service, err = New(h.cfg); err != nil {
		t.Fatal(err)
	}
	_, err = h.Append(t.Context(), AppendRequest{Type: "close", Ref: []uint64{o.Index}, Body: raw})
	wantKind(t, "a second end after a restart", err, errkind.Conflict)
}

func TestAStatusSaysWhatIsKnownAndNothingElse(t *testing.T) {
	h := newHouse(t)
	nonce := make([]byte, 16)
	rand.Read(nonce)
	status := func(fp wire.Hash) wire.Status {
		t.Helper()
		s, err := h.Status(t.Context(), fp, nonce)
		if err != nil {
			t.Fatal(err)
		}
		st, err := wire.ParseStatus(s, h.ca())
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	if st := status(wire.Sum([]byte("unknown"))); st.State != wire.StateWaiting || st.Epoch != 0 {
		t.Errorf("an unknown device: got %+v", st)
	}
	fp := machine("press-1", "1").FP
	if st := status(fp); st.State != wire.StateOK || st.Time != t0.UnixMilli() || st.Bundle != 1 || string(st.Nonce) != string(nonce) {
		t.Errorf("got %+v", st)
	}
	if _, err := h.Status(t.Context(), fp, []byte("short")); err == nil {
		t.Error("a short nonce was signed")
	}
	last := status(fp).Epoch
	h.pass(-48 * time.Hour) // the clock steps back
	for i, act := range []func() error{
		func() error { _, err := h.Restrict(t.Context(), fp, wire.StateLocked, "x"); return err },
		func() error { _, err := h.PutDevice(t.Context(), robotAdmin(h), machine("press-1", "1")); return err },
		func() error { _, err := h.Restrict(t.Context(), fp, wire.StateRevoked, "x"); return err },
	} {
		if err := act(); err != nil {
			t.Fatal(err)
		}
		now := status(fp).Epoch
		if now <= last {
			t.Errorf("change %d: epoch went from %d to %d", i, last, now)
		}
		last = now
	}
}

// robotAdmin is an administrator whose evidence holds whatever the clock says.
func robotAdmin(h *house) Evidence {
	text := fmt.Sprint("spt_", id.NewSession())
	tok := Token{ID: text, Hash: wire.Sum([]byte(text)), Principal: person("ada").Principal, Groups: []string{"administrators"}, Scopes: []string{"administer"}, Expires: h.clock().Add(time.Hour)}
	if err := h.Seed(h.t.Context(), nil, []Token{tok}); err != nil {
		h.t.Fatal(err)
	}
	return Evidence{APIToken: text}
}
