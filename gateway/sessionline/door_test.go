package sessionline

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// seen is what happened, in order: "record X" when the recording was asked, "device X" when the device got it.
type seen struct {
	reads chan struct{} // if not nil, the device reads no input before it is closed, and counts its bytes
	mu    sync.Mutex
	all   []string
	count [256]int
}

func (s *seen) add(what string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, fmt.Sprintf(what, args...))
}

func (s *seen) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// book is a recording that answers what the test wants.
type book struct {
	*seen
	pieces bool // notes the first byte of input only
	mu     sync.Mutex
	refuse error
	then   func() // before it answers
}

func (b *book) answer(what string, args ...any) error {
	b.add("record "+what, args...)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.then != nil {
		b.then()
	}
	return b.refuse
}

func (b *book) set(refuse error, then func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse, b.then = refuse, then
}

func (b *book) Start(uint32, uint16, uint16, string) error { return b.answer("start") }
func (b *book) Resize(_ uint32, cols, rows uint16) error {
	return b.answer("size %d %d", cols, rows)
}
func (b *book) Note(n format.Note) error { return b.answer("%s", n.Kind) }
func (b *book) Input(_ context.Context, _ uint32, _ uint64, p []byte) error {
	if b.pieces {
		return b.answer("piece of %s", p[:1])
	}
	return b.answer("input %q", p)
}

func newKey(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newLine is a line to an SSH server that notes what it gets.
func newLine(t *testing.T, b *book) *Line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	host, pass := newKey(t), newKey(t)
	go func() {
		c, err := l.Accept()
		if err == nil {
			serve(c, host, b.seen)
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	line, err := Handshake(c, 10*time.Second, Peer{Name: "press-1", Host: host.PublicKey(), Login: "svc", Pass: pass, Recording: b})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(line.Close)
	return line
}

func serve(c net.Conn, host ssh.Signer, s *seen) {
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	cfg.AddHostKey(host)
	_, channels, requests, err := ssh.NewServerConn(c, cfg)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for n := range channels {
		ch, requests, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				s.add("device %s", r.Type)
				r.Reply(true, nil)
			}
			s.add("device close")
		}()
		go func() {
			if s.reads != nil {
				<-s.reads
			}
			buf := make([]byte, 100)
			for {
				n, err := ch.Read(buf)
				switch {
				case n > 0 && s.reads != nil:
					s.counted(buf[:n])
				case n > 0:
					s.add("device input %q", buf[:n])
				}
				if errors.Is(err, io.EOF) {
					s.add("device eof")
					return
				}
			}
		}()
	}
}

// acts are the ways to reach a program, with what the device gets.
var acts = map[string]struct {
	do     func(context.Context, *Channel) error
	device string
}{
	"input":  {func(ctx context.Context, c *Channel) error { _, err := c.Send(ctx, []byte("ls"), 100, nil); return err }, `device input "ls"`},
	"end":    {func(ctx context.Context, c *Channel) error { return c.End(ctx) }, "device eof"},
	"size":   {func(ctx context.Context, c *Channel) error { return c.Resize(ctx, 90, 30) }, "device window-change"},
	"signal": {func(ctx context.Context, c *Channel) error { return c.Signal(ctx, "INT") }, "device signal"},
}

func (s *seen) wait(t *testing.T, what string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !slices.Contains(s.list(), what); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the device never got %q: %q", what, s.list())
		}
	}
}

func TestEachWayToAProgramIsRecordedFirst(t *testing.T) {
	for name, act := range acts {
		b := &book{seen: &seen{}}
		c, err := newLine(t, b).Open(t.Context(), 1, Start{})
		if err != nil {
			t.Fatal(err)
		}
		if err := act.do(t.Context(), c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		b.wait(t, act.device)
		got := b.list()
		for _, what := range []string{"shell", strings.TrimPrefix(act.device, "device ")} {
			at := slices.Index(got, "device "+what)
			if at < 1 || !strings.HasPrefix(got[at-1], "record ") {
				t.Errorf("%s: %q came to the device without a record before it: %q", name, what, got)
			}
		}
	}
}

func TestWithoutAReceiptNothingIsSent(t *testing.T) {
	full := errors.New("the disk is full")
	for name, act := range acts {
		b := &book{seen: &seen{}}
		c, err := newLine(t, b).Open(t.Context(), 1, Start{})
		if err != nil {
			t.Fatal(err)
		}
		b.set(full, nil)
		if err := act.do(t.Context(), c); Unrecorded(err) != full {
			t.Errorf("%s: got %v, want the recording's own error", name, err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		over := errors.New("the session is over")
		b.set(nil, func() { cancel(over) })
		if err := act.do(ctx, c); err != over {
			t.Errorf("%s after the end: got %v, want why it ended", name, err)
		}
		b.set(nil, nil)
		c.Close()
		b.wait(t, "device close")
		if slices.Contains(b.list(), act.device) && act.device != "device eof" { // a close reads as an end of input
			t.Errorf("%s: the device got it without a receipt: %q", name, b.list())
		}
	}
}

func TestAProgramThatCannotBeRecordedIsNotStarted(t *testing.T) {
	b := &book{seen: &seen{}, refuse: errors.New("the disk is full")}
	start := Start{Argv: []string{"id"}, PTY: &PTY{Cols: 80, Rows: 24}, Env: []wire.Variable{{Name: "LANG", Value: "C"}}}
	if _, err := newLine(t, b).Open(t.Context(), 1, start); Unrecorded(err) != b.refuse {
		t.Errorf("got %v, want the recording's own error", err)
	}
	b.wait(t, "device close")
	for _, what := range []string{"device env", "device pty-req", "device exec"} {
		if slices.Contains(b.list(), what) {
			t.Errorf("the device got %q without a receipt", what)
		}
	}
}

func TestNothingIsTypedAfterTheEndOfInput(t *testing.T) {
	b := &book{seen: &seen{}}
	c, err := newLine(t, b).Open(t.Context(), 1, Start{PTY: &PTY{Cols: 80, Rows: 24}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.End(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Send(t.Context(), []byte("x"), 100, nil); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("got %v, want that the input has ended", err)
	}
	want := []string{"record start", `record input "\x04"`, "record input-end"}
	got := slices.DeleteFunc(b.list(), func(s string) bool { return strings.HasPrefix(s, "device ") })
	if !slices.Equal(got, want) {
		t.Errorf("the record has %q, want %q", got, want)
	}
}

func TestAReceiptIsForOneChannel(t *testing.T) {
	b := &book{seen: &seen{}}
	line := newLine(t, b)
	one, err := line.Open(t.Context(), 1, Start{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := line.Open(t.Context(), 2, Start{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := one.recordInput(t.Context(), []byte("ls"))
	if err != nil {
		t.Fatal(err)
	}
	if two.send(r, []byte("ls")) == nil || two.send(receipt{}, []byte("ls")) == nil || two.sendEnd(r) == nil ||
		two.tell(r, "signal", nil) == nil {
		t.Error("a channel took the receipt of another, or none")
	}
}

// TestWhatIsReadOfAChannelCannotBeWrittenTo: a caller gets no way to the device out of it, not by reflection either.
func TestWhatIsReadOfAChannelCannotBeWrittenTo(t *testing.T) {
	c := &Channel{ch: struct{ ssh.Channel }{}}
	for _, r := range []any{c.Stdout(), onlyRead{}} {
		_, writes := r.(io.Writer)
		_, readsFrom := r.(io.ReaderFrom)
		_, writesTo := r.(io.WriterTo)
		if writes || readsFrom || writesTo {
			t.Errorf("%T has more than Read", r)
		}
		for i := range reflect.TypeOf(r).NumField() {
			if reflect.ValueOf(r).Field(i).CanInterface() {
				t.Errorf("%T gives its field %s away", r, reflect.TypeOf(r).Field(i).Name)
			}
		}
	}
}
