package e2e

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// inChromium prepares a script of tests/browser, which gets what it is to know as JSON. It ends with the test, or after five
// minutes.
func inChromium(t *testing.T, script string, known map[string]any) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", script, string(raw))
	cmd.Dir = filepath.Join(testenv.Root(), "tests", "browser")
	return cmd
}
