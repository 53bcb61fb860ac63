package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// A gateway without a separate signer that lost its data directory must not make new keys beside the log's second copy,
// and must leave the directory empty for the restore that it names. The copy may be as short as a log can be.
func TestASingleProcessThatLostItsDataIsRefusedAndMakesNoFile(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(s *testenv.Server) error{
		"a whole copy":                          func(*testenv.Server) error { return nil },
		"a copy without a published head":       func(s *testenv.Server) error { return os.Remove(s.Path("copy", "checkpoint")) },
		"a copy whose published head is empty":  func(s *testenv.Server) error { return os.Truncate(s.Path("copy", "checkpoint"), 0) },
		"a copy of which only the head is left": func(s *testenv.Server) error { return os.RemoveAll(s.Path("copy", "private")) },
	} {
		t.Run(what, func(t *testing.T) {
			s := testenv.NewServer(t)
			os.Mkdir(s.Path("copy"), 0o700)
			s.Text += fmt.Sprintf("[ledger]\nsecond_copy = %q\n", s.Path("copy"))
			s.Write()
			s.Serve().End(syscall.SIGTERM) // its log has no entry but the policy
			if err := spoil(s); err != nil {
				t.Fatal(err)
			}
			wipe(t, s.Path("data"))
			for range 2 {
				p := s.Start("again", "serve")
				if status := p.Wait(); status != 1 || !strings.Contains(p.Output(), "this signer has run before") ||
					!strings.Contains(p.Output(), "sallyport restore") {
					t.Fatalf("got %d %s", status, p.Output())
				}
				if left, err := os.ReadDir(s.Path("data")); err != nil || len(left) > 0 {
					t.Errorf("left in the way of a restore: %v, %v", left, err)
				}
			}
		})
	}
}
