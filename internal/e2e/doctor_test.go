package e2e

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// found is what doctor printed as JSON, by what it looked at.
type found map[string]struct{ State, Text, Hint string }

func read(t *testing.T, got testenv.Result) found {
	t.Helper()
	var all []struct{ What, State, Text, Hint string }
	if err := json.Unmarshal([]byte(got.Out), &all); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	out := found{}
	for _, f := range all {
		what, _, _ := strings.Cut(f.What, ":")
		out[what] = struct{ State, Text, Hint string }{f.State, f.Text, f.Hint}
	}
	return out
}

func (f found) want(t *testing.T, what, state, text string) {
	t.Helper()
	if f[what].State != state || !strings.Contains(f[what].Text, text) {
		t.Errorf("%s: got %+v, want %s, …%s…", what, f[what], state, text)
	}
}

func TestDoctorSaysWhatHoldsHere(t *testing.T) {
	t.Parallel()
	s := testenv.NewServer(t)
	doctor := func() found { return read(t, testenv.Finish(t, s.Command("doctor", "--config", s.Config, "--json"))) }
	before := doctor()
	before.want(t, "gateway", "look", "does not answer at "+s.Listen+": connection refused")
	before.want(t, "certificate", "look", "no such file")
	before.want(t, "log", "look", "the log cannot be read")
	before.want(t, "identity guests", "look", "its people cannot be read")
	gateway := s.Serve()
	doctor().want(t, "identity guests", "look", "has no users")
	s.AddUser("tess", "technicians")
	one := doctor()
	one.want(t, "gateway", "ok", "runs and is ready")
	one.want(t, "public address", "ok", s.URL+" leads here")
	one.want(t, "certificate", "ok", "good until")
	one.want(t, "disk", "ok", "new sessions stop below 16MiB")
	one.want(t, "policy", "ok", "1 file(s) read well")
	one.want(t, "log", "look", "no second copy")
	one.want(t, "readers", "look", "1 for recordings, 1 for hidden input")
	one.want(t, "identity guests", "ok", "1 people, 0 with a second factor")
	one.want(t, "promise 1", "ok", "strict")
	one.want(t, "promise 4", "weak", "reading key is in the gateway's process")
	one.want(t, "promise 5", "ok", "which the archive does not have")
	one.want(t, "promise 6", "weak", "the signer is in the gateway's process")
	text := testenv.Finish(t, s.Command("doctor", "--config", s.Config))
	if text.Status != 1 || !strings.Contains(text.Out, "weak  promise 6: decided twice: ") || !strings.Contains(text.Out, "LOOK  log: ") || !strings.Contains(text.Err, "are not as they should be") {
		t.Errorf("got %+v", text)
	}
	gateway.End(syscall.SIGTERM)
	s.Write(`low_water = "16MiB"`, `low_water = "900TiB"`)
	doctor().want(t, "disk", "look", "none starts now")
}

func TestDoctorOnATechniciansMachine(t *testing.T) {
	t.Parallel()
	s := testenv.NewServer(t)
	s.AddUser("tess", "technicians")
	s.Serve()
	p := s.Person("tess")
	got := read(t, p.Run("doctor", "--json"))
	got.want(t, "gateway", "ok", s.URL+" (Test works) answers in ")
	got.want(t, "who you are", "ok", "tess, by ")
	got.want(t, "terminal", "ok", "WebSockets reach the gateway")
	got.want(t, "devices", "ok", "you can reach 0, of which 0 now")
	stranger := testenv.NewPerson(t, s.URL)
	read(t, stranger.Run("doctor", "--json")).want(t, "sign-in", "look", "you are not signed in to "+s.URL)
}
