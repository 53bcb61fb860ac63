package signer

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// FuzzCall is a gateway that somebody took over: it has a technician's and an administrator's sign-in and an API token, and
// calls what it likes with the bytes it likes. Each call has an answer, and gives nobody what they may not have.
func FuzzCall(f *testing.F) {
	h := newHouse(f)
	handler := Handler(h.Service)
	for name, bodies := range h.calls() {
		for _, b := range bodies {
			raw, err := json.Marshal(b)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(name, raw)
		}
	}
	f.Add("seed", []byte(`{}`))
	f.Add("head", []byte(`{"a":1}`))
	f.Add("entry", []byte(`18446744073709551615`))
	f.Add("entries", []byte(`18446744073709551615`))
	f.Add("prove", []byte(`{"from":0,"to":18446744073709551615}`))
	f.Add("consistency", []byte(`{"from":3,"to":1}`))
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		if _, known := calls(h.Service)[name]; !known {
			return
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/"+name, bytes.NewReader(body)))
		if w.Code == http.StatusOK {
			h.rightful(t, name, body, w.Body.Bytes())
			return
		}
		var no failure
		if err := json.Unmarshal(w.Body.Bytes(), &no); err != nil || no.Text == "" || no.Kind.HTTP() != w.Code {
			t.Errorf("%s %s: got %d %s, %v", name, body, w.Code, w.Body, err)
		}
	})
}

// calls are honest ones, at least one of each.
func (h *house) calls() map[string][]any {
	r := h.request(tess, "press-1")
	byToken := h.request(robot, "press-1")
	byToken.Argv = []string{"/usr/bin/uptime", "-p"}
	event, _ := ledger.EventBody{By: "x", AtMS: t0.UnixMilli()}.Marshal()
	progress, _ := ledger.ProgressBody{Open: 1, Session: r.Session, AtMS: t0.UnixMilli()}.Marshal()
	end, _ := ledger.CloseBody{Open: 1, Session: r.Session, Reason: "exit", AtMS: t0.UnixMilli()}.Marshal()
	tok := Token{ID: "n", Hash: wire.Sum([]byte("n")), Principal: person("tess").Principal, Scopes: []string{ScopeSession}, Expires: t0.Add(time.Hour), Network: "10.0.0.0/8"}
	_, renewal := h.running(tess)
	return map[string][]any{"open": {r, byToken}, "renew": {renewal}, "status": {statusCall{r.H0, make([]byte, 16)}}, "bundle": {none{}}, "head": {none{}}, "current-policy": {none{}}, "keys": {none{}}, "entry": {1},
		"entries": {1}, "unended": {r.H0},
		"append": {AppendRequest{Type: "viewed", Ref: []uint64{0}, Body: event}, AppendRequest{Type: "shredded", Ref: []uint64{1}, Body: event}, AppendRequest{Type: "progress", Ref: []uint64{1}, Body: progress},
			AppendRequest{Type: "close", Ref: []uint64{1}, Body: end}},
		"prove": {spanCall{1, 2}}, "consistency": {spanCall{1, 2}}, "device": {deviceCall{ada, machine("press-3", "1")}}, "restrict": {restrictCall{machine("press-2", "2").FP, wire.StateLocked, "x"}},
		"policy": {policyCall{ada, []PolicyFile{{Name: "p.toml", Text: policy}}, "again"}}, "token": {tokenCall{tess, tok}}, "revoke-token": {revokeCall{"robot", "lost"}}}
}

// rightful checks that whoever got something may have it.
func (h *house) rightful(t *testing.T, name string, body, answer []byte) {
	t.Helper()
	switch name {
	case "append":
		if in := read[AppendRequest](t, body); slices.Contains(ownTypes, in.Type) {
			t.Errorf("appended a leaf of the signer's own type %q", in.Type)
		}
	case "device":
		if by := read[deviceCall](t, body).By; by.IDToken != "ada" {
			t.Errorf("%+v admitted a device", by)
		}
	case "policy":
		if by := read[policyCall](t, body).By; by.IDToken != "ada" {
			t.Errorf("%+v changed the policy", by)
		}
	case "token":
		if by := read[tokenCall](t, body).By; by.IDToken == "" || by.APIToken != "" {
			t.Errorf("%+v made a token", by)
		}
	case "renew":
		h.nextFits(t, read[RenewRequest](t, body), answer)
	case "open":
		h.passFits(t, read[OpenRequest](t, body), answer)
	}
}

// passFits checks that a pass is for who asked, for what they may do there, and in the log.
func (h *house) passFits(t *testing.T, in OpenRequest, answer []byte) {
	t.Helper()
	out := read[Opened](t, answer)
	p, err := wire.ParsePass(out.Pass, []ssh.PublicKey{h.keys.sessionCA.PublicKey()})
	if err != nil {
		t.Fatalf("not a pass: %v", err)
	}
	who := in.Evidence.IDToken + in.Evidence.APIToken
	if who != "tess" && who != "spt_robot" || p.Grant.Session != in.Session || p.Grant.Device != machine(string(in.Device), "").FP || p.Grant.Login != in.Login || len(in.Argv) == 0 && in.Device != "press-1" {
		t.Errorf("%+v: got a pass of %+v", in, p.Grant)
	}
	raw, _, _, err := h.log.Entry(out.Index)
	if err != nil || !bytes.Equal(raw, out.Leaf) {
		t.Errorf("the pass was not announced: %v", err)
	}
}

// nextFits checks that a next pass is for the session's own technician, in the log, and no wider.
func (h *house) nextFits(t *testing.T, in RenewRequest, answer []byte) {
	t.Helper()
	out := read[Renewed](t, answer)
	ca := []ssh.PublicKey{h.keys.sessionCA.PublicKey()}
	before, err := wire.ParsePass(in.Pass, ca)
	if err != nil {
		t.Fatalf("renewed what is not a pass: %v", err)
	}
	next, err := wire.ParsePass(out.Pass, ca)
	if err != nil {
		t.Fatalf("not a pass: %v", err)
	}
	if err := next.Follows(before); err != nil || in.Evidence.IDToken != "tess" && in.Evidence.APIToken != "spt_robot" {
		t.Errorf("%+v: got a pass of %+v, %v", in, next.Grant, err)
	}
	raw, _, _, err := h.log.Entry(out.Index)
	if err != nil || !bytes.Equal(raw, out.Leaf) {
		t.Errorf("the pass was not announced: %v", err)
	}
}

func read[T any](t *testing.T, raw []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

// said is a signer's answer.
type said struct {
	status int
	body   []byte
}

func (s said) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(s.body))}, nil
}

// FuzzAnswer is the other side: an answer that is none is an error, and a refusal is never an answer.
func FuzzAnswer(f *testing.F) {
	good, _ := json.Marshal(Opened{Pass: []byte("p"), Proof: []wire.Hash{{1}}, Rule: "A1", Until: t0})
	f.Add(200, good)
	f.Add(200, []byte(`{"proof":[""],"pass":7}`))
	f.Add(403, []byte(`{"kind":3,"text":"no","hint":"ask"}`))
	f.Add(500, []byte(`{"kind":-1,"text":"x"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		c := &Client{http: &http.Client{Transport: said{status, body}}}
		_, err := c.Open(context.Background(), OpenRequest{Session: id.Session{1}})
		if (err == nil) != (status == http.StatusOK && json.Unmarshal(body, new(Opened)) == nil) {
			t.Errorf("%d %s: got %v", status, body, err)
		}
		if err != nil {
			errkind.ForPeople(err)
		}
		c.Keys(context.Background())
		c.Entry(context.Background(), 1)
	})
}
