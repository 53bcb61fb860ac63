package terminal

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

// noted counts what a session is asked for, and refuses half of it.
type noted struct {
	typed []byte
	acts  int
}

func (n *noted) ID() id.Session              { return id.Session{} }
func (n *noted) Until() time.Time            { return time.Time{} }
func (n *noted) Wait() gateway.Outcome       { return gateway.Outcome{} }
func (n *noted) Write(p []byte) (int, error) { n.typed = append(n.typed, p...); return len(p), nil }
func (n *noted) CloseInput() error           { n.acts++; return nil }
func (n *noted) Resize(int, int) error       { n.acts++; return errkind.New(errkind.Usage, "no") }
func (n *noted) Signal(string) error         { n.acts++; return errkind.New(errkind.Usage, "no") }
func (n *noted) End(string)                  { n.acts++ }

// FuzzMessage: typed bytes go on as they came, a control message does one thing at most, and nothing else is taken.
func FuzzMessage(f *testing.F) {
	f.Add(false, []byte{apitype.StreamIn, 'x'})
	f.Add(false, []byte{})
	f.Add(true, []byte(`{"t":"resize","cols":80,"rows":24}`))
	f.Add(true, []byte(`{"t":"signal","signal":"INT","T":"end"}`))
	f.Add(true, []byte(`{"t":"end"}`))
	f.Add(true, []byte(`{"t":"eof","rows":1e9}`))
	f.Fuzz(func(t *testing.T, text bool, msg []byte) {
		l, s := newLine(nil, Config{}), &noted{}
		l.mu.Lock() // as if somebody was writing: notices wait
		ok := l.handle(s, text, msg)
		typed := !text && len(msg) > 0 && msg[0] == apitype.StreamIn
		if typed != (ok && !text) || typed && !bytes.Equal(s.typed, msg[1:]) || !typed && len(s.typed) > 0 {
			t.Errorf("%v %q: got %v, typed %q", text, msg, ok, s.typed)
		}
		if s.acts > 1 || s.acts > 0 && (!text || !json.Valid(msg)) || len(l.notices) > s.acts {
			t.Errorf("%v %q: did %d things, said %+v", text, msg, s.acts, l.notices)
		}
	})
}

// FuzzHello: a ticket opens its session once, and nothing that is not the ticket does.
func FuzzHello(f *testing.F) {
	f.Add([]byte(`{"ticket":"T"}`))
	f.Add([]byte(`{"ticket":"","TICKET":"x"}`))
	f.Add([]byte(`{"ticket":null}`))
	f.Fuzz(func(t *testing.T, msg []byte) {
		all, sid := NewTickets(nil), id.NewSession()
		ticket, err := all.Issue("key", sid)
		if err != nil {
			t.Fatal(err)
		}
		msg = bytes.ReplaceAll(msg, []byte(`"T"`), []byte(`"`+ticket+`"`))
		var h apitype.TerminalHello
		if wire.StrictJSON(msg, &h) != nil {
			return
		}
		got, err := all.Redeem(h.Ticket, "key")
		if (err == nil) != (h.Ticket == ticket) || err == nil && got != sid {
			t.Errorf("%q: got %s, %v", msg, got, err)
		}
		if _, err := all.Redeem(h.Ticket, "key"); err == nil {
			t.Errorf("%q opened it twice", msg)
		}
	})
}
