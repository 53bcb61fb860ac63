package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestTheScriptOfTheRequestsPageRuns runs the script of docs/requests.md as a reader would.
func TestTheScriptOfTheRequestsPageRuns(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/requests.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, _ := strings.Cut(string(page), "```sh\n")
	script, _, whole := strings.Cut(script, "\n```")
	if !whole {
		t.Fatal("docs/requests.md has no script")
	}
	d := testenv.Start(t)
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Env = d.Command(t.Context(), "technician").Env
	for name, role := range map[string]string{"TECHNICIAN": "technician", "APPROVER": "approver", "OFFICER": "officer"} {
		cmd.Env = append(cmd.Env, name+"="+d.Token(role))
	}
	cmd.Env = append(cmd.Env, "PATH="+d.Bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, d.Output())
	}
	for _, want := range []string{"refused, status 77", "replace the pump's sensor", "working on press-2", "for more time waits for 1 of shift-leads",
		"the session has ended, status", "withdrawn", "pass 1, announced as entry"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the script does not print %q:\n%s", want, out)
		}
	}
}
