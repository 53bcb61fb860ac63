package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestServeSingleStandsInForTheSigner: with the signer's process away for good, its directory is all that is needed.
func TestServeSingleStandsInForTheSigner(t *testing.T) {
	t.Parallel()
	s := testenv.NewServer(t)
	os.Mkdir(s.Path("signer"), 0o700)
	os.Mkdir(s.Path("run"), 0o755)
	s.Text += fmt.Sprintf("[signer]\nsocket = %q\ndir = %q\ngateway_user = \"%d\"\n", s.Path("run", "s"), s.Path("signer"), os.Getuid())
	s.Write()
	signer := s.Start("signer", "signer")
	gateway := s.Serve()
	s.AddUser("ada", "administrators")
	s.AddUser("tess", "technicians")
	admin, tess := s.Person("ada"), s.Person("tess")
	agent := s.Join(admin, "press-1", "--ca", s.CA())
	if got := tess.Run("shell", "press-1", "--", "echo", "apart"); got.Out != "apart\n" {
		t.Fatalf("apart: got %+v", got)
	}
	before := s.Path("checkpoint")
	if err := os.WriteFile(before, []byte(admin.Must("log", "checkpoint")), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway.End(syscall.SIGTERM)
	signer.End(syscall.SIGTERM)
	single := s.Start("single", "serve", func(cmd *exec.Cmd) { cmd.Args = append(cmd.Args, "--single") })
	s.WaitReady(single)
	s.WaitOnline(admin, agent, "press-1")
	if got := tess.Run("shell", "press-1", "--", "echo", "alone"); got.Out != "alone\n" || got.Status != 0 {
		t.Errorf("alone: got %+v\n%s", got, single.Output())
	}
	if got := admin.Run("log", "consistency", before); got.Status != 0 {
		t.Errorf("the log does not go on where it was: %+v", got)
	}
}
