package authz

import (
	"fmt"
	"slices"
	"strings"
)

// OwnerFile writes the file that a machine begins with: the preset and what it means, for somebody who opens it for the
// first time. zone is the machine's own.
func OwnerFile(preset, zone string) ([]byte, error) {
	if !slices.Contains(Presets, preset) {
		return nil, fmt.Errorf("the presets are %s", strings.Join(Presets, ", "))
	}
	meaning := map[string]string{"locked": "every action is denied", "ask": "a person at this machine is asked for every action",
		"office-hours": "every action is allowed inside [hours] and denied outside", "open": "every action is allowed, always"}[preset]
	text := fmt.Sprintf(`# What may be done to this machine from outside. Nobody outside can widen it. Lines below the preset refine it.
format = 1
preset = %q   # %s

# shell  = "ask"                              # allow | ask | deny
# run    = "allow"
# files  = { read = "allow", write = "ask" }
# logins = ["svc"]                            # then nobody works as another login
# processes = "machine"                       # session | machine: what programs may signal and debug, also with sudo
`, preset, meaning)
	if preset == "office-hours" {
		text += fmt.Sprintf("\n[hours]\nzone = %q\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\nfrom = \"07:00\"\nto   = \"17:00\"\n", zone)
	}
	if _, problems := LoadOwner(File{Name: "owner.toml", Text: []byte(text)}); len(problems) > 0 {
		return nil, problems
	}
	return []byte(text), nil
}
