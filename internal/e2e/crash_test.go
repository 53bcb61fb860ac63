package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestNothingIsMissingAfterAKill kills gateway, agent and client in turn, with SIGKILL and at random moments, while
// somebody types and the screen is flooded.
func TestNothingIsMissingAfterAKill(t *testing.T) { killed(t, 10) }

// victims in turn. After a gateway's death with power the files are cut as well to what only the journal holds for sure,
// as a power failure may do.
var victims = []string{"gateway", "agent", "client", "gateway and power"}

func killed(t *testing.T, trials int) {
	seed := uint64(time.Now().UnixNano())
	c := &crashes{t: t, d: testenv.Start(t, "--devices", "1"), dir: openDir(t), rnd: rand.New(rand.NewPCG(seed, 0)), chunks: testenv.Chunks{}}
	c.program = witnessProgram(t, c.dir)
	for i := range trials {
		c.trial(i, victims[i%len(victims)])
	}
	c.nonces()
	if t.Failed() {
		return
	}
	t.Logf("%d kills (seed %d): %d bytes received by the device and %d shown, none of them missing; back after %s on average, %s at most; %d chunks in files and journals, none sealed twice",
		trials, seed, c.received, c.shown, (c.away / time.Duration(trials)).Round(time.Millisecond), c.longest.Round(time.Millisecond), len(c.chunks))
}

type crashes struct {
	t       *testing.T
	d       *testenv.Demo
	dir     string
	program string
	rnd     *rand.Rand
	chunks  testenv.Chunks

	received, shown int
	away, longest   time.Duration
}

// crashed is one session that a kill met, as device and technician saw it.
type crashed struct {
	cmd *exec.Cmd
	tty *os.File
	out *screen
	eof chan struct{} // the client's terminal has given all
	log string        // the device's
	sid string
}

func (c *crashes) trial(n int, victim string) {
	s := c.start(n)
	stop, typed := make(chan struct{}), make(chan struct{})
	rnd := rand.New(rand.NewPCG(c.rnd.Uint64(), 1))
	go func() { defer close(typed); typeAtRandom(s.tty, rnd, stop) }()
	time.Sleep(time.Duration(c.rnd.IntN(600)) * time.Millisecond)
	began := time.Now()
	switch victim {
	case "client":
		s.cmd.Process.Kill()
	case "agent":
		syscall.Kill(c.d.Devices[0].PID, syscall.SIGKILL)
		time.Sleep(200 * time.Millisecond) // the session goes on without it
	default:
		c.killGateway(victim == "gateway and power")
	}
	close(stop)
	<-typed
	if victim == "agent" {
		s.tty.Write([]byte{4}) // the program says bye
	}
	c.ended(s, victim)
	c.back(began, victim)
	c.compare(n, s, victim)
}

func (c *crashes) start(n int) *crashed {
	t := c.t
	t.Helper()
	s := &crashed{log: filepath.Join(c.dir, fmt.Sprintf("received-%d", n)), out: &screen{}, eof: make(chan struct{})}
	s.cmd = c.d.Command(context.Background(), "technician", "shell", "-t", "press-1", "--", c.program, s.log)
	notices, err := os.Create(filepath.Join(c.dir, fmt.Sprintf("notices-%d", n)))
	if err != nil {
		t.Fatal(err)
	}
	defer notices.Close()
	s.cmd.Stderr = notices
	tty, theirs, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if _, err := term.MakeRaw(int(theirs.Fd())); err != nil { // or it echoes what is typed when the client is gone
		t.Fatal(err)
	}
	s.tty, s.cmd.Stdin, s.cmd.Stdout = tty, theirs, theirs
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { io.Copy(s.out, s.tty); close(s.eof) }()
	t.Cleanup(func() { s.tty.Close(); s.cmd.Process.Kill() })
	s.out.wait(t, "witness")
	var rows []struct{ ID string }
	got := c.d.Run(t, "officer", "sessions", "list", "--json", "--page", "1", "--size", "1")
	if err := json.Unmarshal([]byte(got.Out), &rows); err != nil || len(rows) != 1 {
		t.Fatalf("sessions list: %v %+v", err, got)
	}
	s.sid = rows[0].ID
	return s
}

// typeAtRandom types at a person's pace and in bursts.
func typeAtRandom(tty *os.File, rnd *rand.Rand, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rnd.IntN(8)) * time.Millisecond):
		}
		keys := make([]byte, 1+rnd.IntN(3)*rnd.IntN(3)*rnd.IntN(60))
		for i := range keys {
			keys[i] = "abcdefghijklmnopqrstuvwxyz0123456789\r"[rnd.IntN(37)]
		}
		tty.Write(keys)
	}
}

// killGateway kills the gateway, and looks at its files before it is started again.
func (c *crashes) killGateway(power bool) {
	guard := parent(c.d.GatewayPID)
	syscall.Kill(guard, syscall.SIGSTOP)
	defer syscall.Kill(guard, syscall.SIGCONT)
	syscall.Kill(c.d.GatewayPID, syscall.SIGKILL)
	for end := time.Now().Add(time.Minute); alive(c.d.GatewayPID); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatal("the gateway does not die")
		}
	}
	dir := filepath.Join(c.d.DataDir, "recordings")
	if err := c.chunks.Journal(filepath.Join(dir, "journal")); err != nil {
		c.t.Error(err)
	}
	if power {
		if err := testenv.CutToJournal(dir); err != nil {
			c.t.Error(err)
		}
	}
}

// ended waits until the client's side has ended.
func (c *crashes) ended(s *crashed, victim string) {
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case err := <-done:
		if victim == "agent" && err != nil {
			c.t.Errorf("the session did not outlive the agent: %v, its end is %q", err, tail(s.out.text()))
		}
	case <-time.After(time.Minute):
		c.t.Errorf("%s killed: the client does not end", victim)
		s.cmd.Process.Kill()
		<-done
	}
	select {
	case <-s.eof:
	case <-time.After(time.Minute):
		c.t.Error("the client's terminal does not end")
	}
}

// back waits until a session can be had again, with nobody's help.
func (c *crashes) back(since time.Time, victim string) {
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		got := c.d.Run(c.t, "technician", "devices", "show", "press-1", "--json")
		if strings.Contains(got.Out, `"online": true`) { // each asking for a session counts, and is an entry of the log
			got = c.d.Run(c.t, "technician", "shell", "press-1", "--", "true")
		} else {
			got.Status = 1
		}
		if got.Status == 0 {
			break
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s killed: no session after two minutes: %+v\n%s", victim, got, c.d.Output())
		}
	}
	took := time.Since(since)
	c.away, c.longest = c.away+took, max(c.longest, took)
	c.d.Reload()
}

func tail(s string) string { return s[max(0, len(s)-200):] }
