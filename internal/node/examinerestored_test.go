package node

import (
	"net"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
)

func TestDoctorNamesOnlyTheStepsThatARestoreLeaves(t *testing.T) {
	for _, c := range []struct {
		restored     signer.Restored
		want, absent string
	}{
		{signer.Restored{Examined: 9, Sessions: []string{"abc"}}, "1 session(s)", "nrol"},
		{signer.Restored{Examined: 9, Devices: []string{"press-1"}}, "Enrol these devices again", "session(s)"},
	} {
		_, err := restoredText(&c.restored, "/data")
		text, hint, _ := errkind.ForPeople(err)
		if all := text + " " + hint; !strings.Contains(all, c.want) || strings.Contains(all, c.absent) {
			t.Errorf("got %q, want …%s… without %s", all, c.want, c.absent)
		}
	}
}

func TestDoctorNamesTheProxyThatDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	e := examination{c: &config.Config{}}
	e.c.Site.URL = "https://" + address
	_, err = e.proxyCertificate(t.Context())
	text, hint, _ := errkind.ForPeople(err)
	if !strings.Contains(text, "the proxy at "+address+" does not answer") || hint == "" {
		t.Errorf("got %q, %q", text, hint)
	}
}
