package e2e

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

func TestARealServerFromItsConfigurationToASession(t *testing.T) {
	s := testenv.NewServer(t)
	s.AddUser("ada", "administrators")
	s.AddUser("tess", "technicians")
	s.Serve()
	admin, tess := s.Person("ada"), s.Person("tess")
	s.Join(admin, "press-1", "--ca", s.CA())
	token := strings.TrimSpace(tess.Must("token", "create", "--scope", "session", "--ttl", "1h"))
	cmd := tess.Command(t.Context(), "--ca", s.CA(), "shell", "press-1", "--", "sh", "-c", "echo out; exit 7")
	cmd.Env = append(cmd.Env, "SALLYPORT_TOKEN="+token)
	if got := testenv.Finish(t, cmd); got.Out != "out\n" || got.Status != 7 {
		t.Errorf("got %+v", got)
	}
}
