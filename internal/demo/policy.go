package demo

import (
	"os"
	"strings"
)

// policyText is the demo's policy: the technician may open a shell on press-1 (hall 1) without asking; anything else must
// be requested.
const policyText = `# The demo's policy. Read it aloud with: sallyport policy words policy.toml
format  = 1
name    = "Demo of a press maker's remote service"
contact = "the admin of this demo"
groups  = ["technicians", "shift-leads", "owners", "compliance", "compliance-unseal", "administrators"]
never_together = [["compliance", "technicians"]]

[duties]
administer = ["administrators"]
approve    = ["shift-leads"]
review     = ["compliance"]
unseal     = ["compliance-unseal"]
own        = ["owners"]
by_token   = ["approve", "export", "review"]

[labels]
site = { needed = true }
kind = { needed = true, one_of = ["press"] }
hall = { needed = true, one_of = ["1", "2"] }

[role.maintain]
why   = "Repair and update a press."
shell = { as = ["LOGIN"] }

[[allow]]
id      = "A1"
why     = "Technicians look after the presses in hall 1."
who     = ["technicians"]
role    = "maintain"
devices = { hall = "1" }
hours   = "always"

[[request]]
id            = "R1"
why           = "The other presses belong to production; a shift lead agrees first."
who           = ["technicians"]
role          = "maintain"
devices       = { kind = "press" }
at_most       = "4h"
ask_for       = ["reason"]
agree         = [{ from = "shift-leads", count = 1 }]
answer_within = "30m"
`

func (s *State) writePolicy() error {
	return os.WriteFile(s.path("policy.toml"), []byte(strings.ReplaceAll(policyText, "LOGIN", s.Login)), 0o600)
}

// labels of a demo's device: press-1 stands in hall 1, the others in hall 2.
func labels(device string) map[string]string {
	hall := "2"
	if device == "press-1" {
		hall = "1"
	}
	return map[string]string{"kind": "press", "hall": hall}
}
