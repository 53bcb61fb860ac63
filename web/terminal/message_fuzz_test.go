package terminal

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

// FuzzMessage: typed bytes go on as they came, a control message does one thing at most, and nothing else is taken.
func FuzzMessage(f *testing.F) {
	f.Add(false, []byte{apitype.StreamIn, 'x'})
	f.Add(false, []byte{})
	f.Add(true, []byte(`{"t":"resize","cols":80,"rows":24}`))
	f.Add(true, []byte(`{"t":"signal","signal":"INT","T":"end"}`))
	f.Add(true, []byte(`{"t":"end"}`))
	f.Add(true, []byte(`{"t":"eof","rows":1e9}`))
	f.Fuzz(func(t *testing.T, text bool, msg []byte) {
		l := newLine(nil, Config{})
		l.mu.Lock() // as if somebody was writing: notices wait
		ok := l.decode(text, msg) == nil
		typed := !text && len(msg) > 0 && msg[0] == apitype.StreamIn
		if !text && typed != ok || typed && !bytes.Equal(l.in.typed, msg[1:]) || !typed && len(l.in.typed) > 0 {
			t.Errorf("%v %q: got %v, typed %q", text, msg, ok, l.in.typed)
		}
		acts := 0
		for _, did := range []bool{l.in.eof, l.in.size != nil, len(l.in.signals) > 0, text && !ok && json.Valid(msg)} {
			if did {
				acts++
			}
		}
		if acts > 1 || acts > 0 && !text || len(l.notices) > 0 {
			t.Errorf("%v %q: did %d things, said %+v", text, msg, acts, l.notices)
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
		ticket, err := all.Issue("key", sid, 1)
		if err != nil {
			t.Fatal(err)
		}
		msg = bytes.ReplaceAll(msg, []byte(`"T"`), []byte(`"`+ticket+`"`))
		var h apitype.TerminalHello
		if wire.StrictJSON(msg, &h) != nil {
			return
		}
		got, err := all.Redeem(h.Ticket, "key")
		if (err == nil) != (h.Ticket == ticket) || err == nil && got.Session != sid {
			t.Errorf("%q: got %s, %v", msg, got.Session, err)
		}
		if _, err := all.Redeem(h.Ticket, "key"); err == nil {
			t.Errorf("%q opened it twice", msg)
		}
	})
}
