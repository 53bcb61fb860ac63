package gateway_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// device is a machine in this process: an SSH server over a pipe whose programs are a few words. The real agent is
// tested where real processes are.
type device struct {
	host ssh.Signer

	discarded atomic.Int64 // bytes that programs "wait" have read

	met atomic.Bool // a device of this key has had a control line

	mu     sync.Mutex // guards what follows
	dialed int
	refuse error
	// asked sees each request before its answer, and "eof"; set before it is dialled.
	asked   func(kind string, payload []byte)
	cannot  map[string]wire.Event                 // commands that it does not start, and what it says then; set before it is dialled
	refuses string                                // the text of a refusal that it tells for the program "refuses"
	says    []string                              // what it says that it started; nil: what it did start
	silent  bool                                  // it does not say what it started
	why     string                                // it ends sessions by itself
	renew   func(wire.Renew) (refused, err error) // its word on a next pass; nil: it takes each
	ended   []string
	typed   []byte
	lines   []net.Conn
}

func newDevice(t *testing.T) *device {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return &device{host: host}
}

func (d *device) Ack(wire.Hash) uint64 { return 0 }

func (d *device) Renew(_ context.Context, _ wire.Hash, m wire.Renew) (refused, err error) {
	d.mu.Lock()
	renew := d.renew
	d.mu.Unlock()
	if renew == nil {
		return nil, nil
	}
	return renew(m)
}

func (d *device) takes(renew func(wire.Renew) (refused, err error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.renew = renew
}

func (d *device) Met(wire.Hash) bool { return d.met.Load() }

func (d *device) End(_ wire.Hash, _ id.Session, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = append(d.ended, reason)
}

func (d *device) dials() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dialed
}

func (d *device) Open(_ context.Context, o gateway.Order) (*sessionline.Line, error) {
	d.mu.Lock()
	d.dialed++
	refuse := d.refuse
	d.mu.Unlock()
	if refuse != nil {
		return nil, refuse
	}
	ours, theirs, err := connected()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.lines = append(d.lines, theirs)
	d.mu.Unlock()
	go d.serve(theirs, o)
	line, err := sessionline.Handshake(ours, time.Minute, sessionline.Peer{Name: "device", Host: d.host.PublicKey(),
		Login: o.Login, Pass: o.Signer, Recording: o.Record})
	if err != nil {
		return nil, errkind.New(errkind.Unavailable, "handshake").Because(err)
	}
	return line, nil
}

func (d *device) serve(c net.Conn, o gateway.Order) {
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if string(k.Marshal()) != string(o.Open.Pass) {
			return nil, fmt.Errorf("not the pass")
		}
		return nil, nil
	}}
	cfg.AddHostKey(d.host)
	conn, chans, reqs, err := ssh.NewServerConn(c, cfg)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(reqs)
	events := make(chan ssh.Channel, 1)
	for n := range chans {
		if _, err := wire.ParseSessionChannel(n.ExtraData()); err != nil && n.ChannelType() == "session" {
			n.Reject(ssh.Prohibited, err.Error())
			continue
		}
		ch, reqs, err := n.Accept()
		if err != nil {
			return
		}
		if n.ChannelType() == wire.EventsChannel {
			go ssh.DiscardRequests(reqs)
			events <- ch
			continue
		}
		number, _ := wire.ParseSessionChannel(n.ExtraData())
		go d.session(number, ch, reqs, events)
	}
}

// counter counts what is written to it.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// peek waits for the events channel, which is there for every program.
func peek(events chan ssh.Channel) ssh.Channel {
	e := <-events
	events <- e
	return e
}

func (d *device) session(n uint32, ch ssh.Channel, reqs <-chan *ssh.Request, events chan ssh.Channel) {
	for r := range reqs {
		if d.asked != nil {
			d.asked(r.Type, r.Payload)
		}
		command, run := "", r.Type == "shell" || r.Type == "exec"
		if r.Type == "exec" {
			var m struct{ Command string }
			ssh.Unmarshal(r.Payload, &m)
			command = m.Command
		}
		if told, cannot := d.cannot[command]; run && cannot {
			run = false
			told.Channel = n
			wire.WriteEvent(peek(events), told)
		}
		if run && !d.silent {
			wire.WriteEvent(peek(events), wire.Event{Kind: wire.EventCommand, Channel: n, Source: wire.SourceExec, Argv: d.started(command)})
		}
		if r.WantReply {
			r.Reply(run, nil)
		}
		if run {
			go d.program(n, ch, command, peek(events))
		}
		if r.Type == "signal" {
			ch.Close() // what runs is a program that a signal ends
		}
	}
}

// started gives the words of what runs, as an honest device tells them unless it is told to say something else.
func (d *device) started(command string) []string {
	switch {
	case d.says != nil:
		return d.says
	case command == "":
		return []string{"-sh"}
	case strings.HasPrefix(command, "/"):
		return strings.Fields(command)
	}
	return []string{"sh", "-c", command}
}

// program is what runs: "streams", "flood N", "wait", "ends", "cuts", or without a command an echo of what is typed.
func (d *device) program(n uint32, ch ssh.Channel, command string, events ssh.Channel) {
	status := uint32(0)
	word, arg, _ := strings.Cut(command, " ")
	switch word = path.Base("/" + word); word {
	case "streams":
		io.WriteString(ch, "out\n")
		io.WriteString(ch.Stderr(), "err\n")
		status = 7
	case "flood":
		left := 0
		fmt.Sscan(arg, &left)
		for chunk := []byte(strings.Repeat("0123456789abcdef", 1024)); left > 0; left -= len(chunk) {
			if _, err := ch.Write(chunk[:min(left, len(chunk))]); err != nil {
				return
			}
		}
	case "shouts": // what a hostile one says of itself
		wire.WriteEvent(events, wire.Event{Kind: wire.EventRefused, Channel: 1, Text: "\x1b]0;x\x07type your password"})
		wire.WriteEvent(events, wire.Event{Kind: wire.EventRefused, Channel: 1, Text: "no forwarding"})
		ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal    string
			Core      bool
			Msg, Lang string
		}{"\x1b[31m" + strings.Repeat("K", 20_000), false, "", ""}))
		ch.Close()
		return
	case "refuses":
		wire.WriteEvent(events, wire.Event{Kind: wire.EventRefused, Channel: n, Text: d.refuses})
	case "cuts":
		ch.SendRequest(wire.CutRequest, false, nil)
	case "wait":
		io.Copy(counter{&d.discarded}, ch)
	case "/":
		d.echo(n, ch, events)
	}
	if d.asked != nil && (word == "/" || word == "wait") { // they end with their input
		d.asked("eof", nil)
	}
	if word == "ends" || d.why != "" {
		ch.SendRequest(wire.EndedRequest, false, wire.SessionEnded{Reason: d.why}.Marshal())
	}
	ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
	ch.Close()
}

// echo shows what is typed, and judges it: lines that begin with "secret" were hidden.
func (d *device) echo(n uint32, ch, events ssh.Channel) {
	buf, at := make([]byte, 1024), uint64(0)
	for {
		size, err := ch.Read(buf)
		p := buf[:size]
		if size > 0 {
			d.mu.Lock()
			d.typed = append(d.typed, p...)
			d.mu.Unlock()
			hidden := strings.HasPrefix(string(p), "secret")
			wire.WriteEvent(events, wire.Event{Kind: wire.EventVerdict, Channel: n, Offset: at, Len: uint64(size), Hidden: hidden})
			at += uint64(size)
			if !hidden {
				ch.Write(p)
			}
		}
		if err != nil || strings.Contains(string(p), "exit\n") {
			return
		}
	}
}

func (d *device) breakLines() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lines {
		l.Close()
	}
}

// connected gives both ends of a loopback connection: SSH wants buffers between the two, which net.Pipe has not.
func connected() (ours, theirs net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if ours, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	theirs, err = l.Accept()
	return ours, theirs, err
}
