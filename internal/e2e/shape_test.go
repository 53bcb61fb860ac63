package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// withLocale gives a command exactly these variables of the terminal and the locale.
func withLocale(cmd *exec.Cmd, vars ...string) *exec.Cmd {
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool {
		return strings.HasPrefix(v, "TERM=") || strings.HasPrefix(v, "LANG=") || strings.HasPrefix(v, "LC_")
	})
	cmd.Env = append(cmd.Env, vars...)
	return cmd
}

// notesOf gives the notes of the newest session's record.
func notesOf(t *testing.T, d *testenv.Demo) []string {
	t.Helper()
	k, err := testenv.Keep(recordingOf(t, d, last(t, d)), d.Identities["reader"])
	if err != nil {
		t.Fatal(err)
	}
	return k.Notes
}

// TestATerminalTypeAndLanguageThatDoNotFitAreReplaced: with a line to the person, and the session runs.
func TestATerminalTypeAndLanguageThatDoNotFitAreReplaced(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	long := "LANG=" + strings.Repeat("x", 5000)
	show := []string{"shell", "-t", "press-1", "--", "sh", "-c", `echo "$TERM|$LANG|$LC_ALL|$LC_TIME|$LC_PAPER"`}
	for name, c := range map[string]struct {
		vars, args []string
		out, told  string
		start      string
	}{
		"all of it": {
			[]string{"TERM=x\ny", long, "LC_TIME=../x"}, show, "xterm-256color|C.UTF-8||C.UTF-8|\r\n",
			"sallyport: a session cannot take the value of TERM, LANG, LC_TIME in your environment; " +
				"it gets TERM=xterm-256color LANG=C.UTF-8 LC_TIME=C.UTF-8.\n",
			"terminal xterm-256color, 80 columns, 24 rows; LANG=C.UTF-8 LC_TIME=C.UTF-8; command: sh -c ",
		},
		"nothing of it": {
			[]string{"TERM=vt100", "LANG=de_DE.UTF-8", "LC_TIME=C", "LC_PAPER=a4", "LC_ALL="}, show,
			"vt100|de_DE.UTF-8||C|\r\n", "",
			"terminal vt100, 80 columns, 24 rows; LANG=de_DE.UTF-8 LC_TIME=C; command: sh -c ",
		},
		"none is set": {
			nil, show, "xterm-256color||||\r\n", "",
			"terminal xterm-256color, 80 columns, 24 rows; no environment; command: sh -c ",
		},
		"a terminal type that is not sent": {
			[]string{"TERM=x\ny"}, []string{"shell", "press-1", "--", "true"}, "", "",
			"no terminal; no environment; command: true",
		},
	} {
		got := testenv.Finish(t, withLocale(d.Command(t.Context(), "technician", c.args...), c.vars...))
		if got.Status != 0 || got.Out != c.out || got.Err != c.told {
			t.Errorf("%s: got status %d, %q and on stderr %q; want %q and %q", name, got.Status, got.Out, got.Err, c.out, c.told)
		}
		notes := notesOf(t, d)
		head, start, _ := strings.Cut(notes[0], "; ")
		if !strings.HasPrefix(head, "start: channel 1 as ") || !strings.HasPrefix(start, c.start) {
			t.Errorf("%s: the record has %q, want %q first", name, notes, c.start)
		}
	}
	whatAReaderSees(t, d)
	whatTheGatewayRefuses(t, d)
}

// whatAReaderSees: the start is one line of the timeline and a marker of the replay.
func whatAReaderSees(t *testing.T, d *testenv.Demo) {
	const want = "; no terminal; LANG=C; command: echo 'two^Jlines'"
	echo := d.Command(t.Context(), "technician", "shell", "press-1", "--", "echo", "two\nlines")
	testenv.Finish(t, withLocale(echo, "LANG=C"))
	sid := last(t, d)
	for _, form := range []string{"timeline", "cast"} {
		req, _ := http.NewRequest("GET", d.URL+"/api/v1/sessions/"+sid+"/"+form, nil)
		req.Header.Set("Authorization", "Bearer "+d.Token("officer"))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(strings.ReplaceAll(string(raw), `\u0027`, "'"), want) {
			t.Errorf("%s: got %s, want %q in it", form, raw, want)
		}
	}
}

// whatTheGatewayRefuses: a client that does not keep to the shapes is told so, and no session is listed for it.
func whatTheGatewayRefuses(t *testing.T, d *testenv.Demo) {
	before := last(t, d)
	for name, body := range map[string]string{
		"a terminal type": `{"device":"press-1","pty":true,"term":"x\ny"}`,
		"a language":      `{"device":"press-1","lang":"/tmp/x"}`,
		"a category":      `{"device":"press-1","locale":{"LC_ALL":"a b"}}`,
		"a variable":      `{"device":"press-1","locale":{"LD_PRELOAD":"x"}}`,
		"LANG twice":      `{"device":"press-1","lang":"C","locale":{"LANG":"C"}}`,
	} {
		req, _ := http.NewRequest("POST", d.URL+"/api/v1/sessions", strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+d.Token("technician"))
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ Reason, Hint string }
		json.NewDecoder(resp.Body).Decode(&p)
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || p.Reason != "usage" || p.Hint == "" {
			t.Errorf("%s: got %s, %+v; want a usage error with what to do", name, resp.Status, p)
		}
	}
	if after := last(t, d); after != before {
		t.Errorf("a request of another shape is listed as session %s", after)
	}
}

// TestTheStartIsInTheRecordBeforeItLeaves looks at the gateway's system calls: what is sent before a program runs
// (environment, terminal, command line), and the end of its input, follow a write and a sync of the journal.
func TestTheStartIsInTheRecordBeforeItLeaves(t *testing.T) {
	if !mustTrace(t) {
		return
	}
	for name, c := range map[string]struct {
		flag string
		sent int // requests: environment and command, or these and a terminal
	}{"without a terminal": {"-T", 2}, "in a terminal": {"-t", 3}} {
		t.Run(name, func(t *testing.T) { startInOrder(t, c.flag, c.sent) })
	}
}

func startInOrder(t *testing.T, flag string, sent int) {
	d := testenv.Start(t, "--devices", "1")
	dir := openDir(t)
	fifo := filepath.Join(dir, "stay")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chmod(fifo, 0o666) // whatever the umask
	stay, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stay.Close()
	tr := testenv.Attach(t, d.GatewayPID, "-e", tracedCalls)
	cmd := withLocale(d.Command(t.Context(), "technician", "shell", flag, "press-1", "--",
		"sh", "-c", "echo ready; cat; echo over; read x <"+fifo), "LANG=C.UTF-8", "TERM=xterm")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	awaitLine(t, lines, "ready")
	time.Sleep(calm)
	client, line := testenv.Ports(cmd.Process.Pid), testenv.Ports(testenv.Children(d.Devices[0].PID)...)
	started := tr.Calls(t)
	in.Close()
	awaitLine(t, lines, "over")
	time.Sleep(calm)
	tr.Stop()
	ended := tr.Calls(t)[len(started):]
	stay.WriteString("x\n")
	cmd.Wait()

	journal := filepath.Join(d.DataDir, "recordings", "journal")
	start := order{calls: started, journal: journal, from: line, to: line}
	dialled, first := start.requests(t, sent)
	if !start.covered(dialled, first) {
		t.Errorf("the first of %d requests left at stop %d, and no write and sync of the journal was complete since stop %d, "+
			"when the device had dialled", sent, first, dialled)
	}
	if start.without(func(c testenv.Call) bool { return c.Name == "fdatasync" }).covered(dialled, first) {
		t.Error("the same trace without its syncs has no fault")
	}
	over := order{calls: ended, journal: journal, from: client, to: line}
	carried, wrong := over.check()
	if carried == 0 {
		t.Error("the trace of the end of input shows nothing that went on")
	}
	for _, w := range wrong {
		t.Errorf("end of input: %s", w)
	}
}

func awaitLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	got, err := r.ReadString('\n')
	if err != nil || strings.TrimSpace(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

// requests gives the stop after which the device had dialled back, and that at which the first of the last n messages
// on the session line left: one message a request, and the last is the start.
func (o order) requests(t *testing.T, n int) (dialled, first int) {
	t.Helper()
	var writes []int
	for _, c := range o.calls {
		switch {
		case !on(c, o.to):
		case sends(c.Name):
			writes = append(writes, c.Enter)
		case dialled == 0 && c.Result > 0:
			dialled = c.Exit
		}
	}
	if len(writes) < n || dialled == 0 {
		t.Fatalf("the trace shows %d writes on the session line, dialled at stop %d: it was not read rightly",
			len(writes), dialled)
	}
	return dialled, writes[len(writes)-n]
}
