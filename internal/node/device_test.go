package node

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

// obey has a device answer the gateway, and dial back for each session. It checks nothing: that is the agent's part.
func (a *agent) obey(s *served) {
	go func() {
		for {
			raw, err := a.line.Receive(time.Time{})
			if err != nil {
				return
			}
			if kind, _ := wire.Kind(raw); kind != wire.TypeOpen {
				continue
			}
			o, err := wire.Decode[wire.Open](raw)
			if err != nil {
				s.t.Error(err)
				return
			}
			a.line.SendMsg(wire.Accepted{T: wire.TypeAccepted, Session: o.Session}, bound)
			go func() {
				if err := a.dialBack(s, o); err != nil {
					s.t.Error(err)
				}
			}()
		}
	}()
}

// dialBack serves one session: a program that shows what is typed, and hides lines that begin with "secret".
func (a *agent) dialBack(s *served, o wire.Open) error {
	ws, err := wire.DialWS(context.Background(), wire.Dial{
		Host:        s.host,
		Path:        wire.SessionPath,
		Subprotocol: wire.SessionSubprotocol,
		Limit:       wire.MaxStream,
		Header:      http.Header{wire.TicketHeader: {wire.B64.EncodeToString(o.Ticket)}},
		TLS:         s.tls(),
		NetDial:     s.from("127.0.0.1"),
	})
	if err != nil {
		return err
	}
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if string(k.Marshal()) != string(o.Pass) {
			return nil, errors.New("not the pass")
		}
		return nil, nil
	}}
	cfg.AddHostKey(a.host)
	_, chans, reqs, err := ssh.NewServerConn(ws.Stream(), cfg)
	if err != nil {
		return err
	}
	go ssh.DiscardRequests(reqs)
	events := make(chan ssh.Channel, 1)
	for n := range chans {
		ch, reqs, err := n.Accept()
		if err != nil {
			return err
		}
		if n.ChannelType() == wire.EventsChannel {
			go ssh.DiscardRequests(reqs)
			events <- ch
			continue
		}
		number, _ := wire.ParseSessionChannel(n.ExtraData())
		go program(number, ch, reqs, events)
	}
	return nil
}

func program(n uint32, ch ssh.Channel, reqs <-chan *ssh.Request, opened <-chan ssh.Channel) {
	for r := range reqs {
		if r.Type == "shell" {
			events := <-opened // it may be opened later than this channel
			wire.WriteEvent(events, wire.Event{Kind: wire.EventCommand, Channel: n, Source: wire.SourceExec, Argv: []string{"-sh"}})
			go echo(n, ch, events)
		}
		if r.WantReply {
			r.Reply(r.Type == "shell" || r.Type == "pty-req", nil)
		}
	}
}

func echo(n uint32, ch, events ssh.Channel) {
	buf, at := make([]byte, 1024), uint64(0)
	for {
		size, err := ch.Read(buf)
		if err != nil {
			return
		}
		hidden := strings.HasPrefix(string(buf[:size]), "secret")
		wire.WriteEvent(events, wire.Event{Kind: wire.EventVerdict, Channel: n, Offset: at, Len: uint64(size), Hidden: hidden})
		at += uint64(size)
		if !hidden {
			ch.Write(buf[:size])
		}
	}
}

// admitted brings a device up and has it admitted at a site.
func (s *served) admitted(t *testing.T, a *agent, site string, by *person) {
	t.Helper()
	if err := a.connect(s, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	a.obey(s)
	by.post(http.StatusOK, "/api/v1/devices/"+a.name+"/admit", map[string]any{"site": site}, nil)
	within(t, a.name+" is online", func() bool {
		var d apitype.Device
		by.get(http.StatusOK, "/api/v1/devices/"+a.name, &d)
		return d.Online
	})
}
