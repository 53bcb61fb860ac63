package node

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

func TestAClockWithoutSynchronisationIsReported(t *testing.T) {
	for what, c := range map[string]struct {
		state int
		t     unix.Timex
		good  bool
	}{
		"synchronised":                     {unix.TIME_OK, unix.Timex{}, true},
		"the kernel calls it unreliable":   {unix.TIME_ERROR, unix.Timex{}, false},
		"nothing has ever synchronised it": {unix.TIME_OK, unix.Timex{Status: unix.STA_UNSYNC}, false},
	} {
		text, err := clockText(c.state, c.t)
		if (err == nil) != c.good || c.good && !strings.HasPrefix(text, "synchronised") || !c.good &&
			!strings.Contains(err.Error(), "nothing keeps this machine's clock right") {
			t.Errorf("%s: got %q, %v", what, text, err)
		}
	}
}

func TestDoctorSaysThatDevicesAreRefusedForTheirAgentsVersion(t *testing.T) {
	text, _, _ := errkind.ForPeople(outdatedAgents(3))
	e := &examination{site: answer{status: 200, text: "ready\n" + warning + "agents: " + text}}
	_, err := e.agents()
	said, hint, _ := errkind.ForPeople(err)
	if !strings.HasSuffix(said, "than this gateway: 3") || !strings.HasPrefix(hint, wire.UpdateAgent) {
		t.Errorf("got %q with the hint %q", said, hint)
	}
	e.site.text = "ready"
	if _, err := e.agents(); err != nil || outdatedAgents(0) != nil {
		t.Errorf("with none: got %v and %v", err, outdatedAgents(0))
	}
}

// TestAnUnreadableKeyIsReportedOnceWithTheUserWhoMustReadIt: doctor runs as root, who can read every file, so it names
// the gateway's user. That the old certificate is served is said once.
func TestAnUnreadableKeyIsReportedOnceWithTheUserWhoMustReadIt(t *testing.T) {
	dir := t.TempDir()
	e := &examination{c: &config.Config{TLS: config.TLS{Mode: "files", Cert: filepath.Join(dir, "cert.pem"),
		Key: filepath.Join(dir, "key.pem")}}}
	e.c.Site.DataDir = dir
	e.site = answer{status: 200, served: &x509.Certificate{NotAfter: time.Now().Add(time.Hour)},
		text: "ready\n" + warning + "certificate: " +
			unreadable("the key's file", &os.PathError{Op: "open", Err: unix.EACCES}).(*errkind.Error).Text + stillServed}
	_, err := e.certificate(t.Context())
	text, hint, _ := errkind.ForPeople(err)
	if strings.Count(text+" "+hint, "served") != 1 || !strings.Contains(text, "the key's file cannot be read") {
		t.Errorf("got %q with the hint %q", text, hint)
	}
	if me := userName(os.Getuid()); !strings.Contains(hint, "as the user "+me+", who must be able to read") {
		t.Errorf("got the hint %q, want the user %s in it", hint, me)
	}
}
