package node

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/internal/signer"
)

// restored reports what remains to be done after a restore.
func (e *examination) restored() {
	r, err := signer.ReadRestored(e.c.Site.DataDir)
	if err != nil || r == nil {
		return
	}
	e.add("restored", func() (string, error) { return restoredText(r, e.c.Site.DataDir) })
}

func restoredText(r *signer.Restored, dir string) (string, error) {
	text := "from the backup of " + r.Made.UTC().Format("2006-01-02 15:04:05 UTC")
	if r.Examined == 0 {
		text += "; the gateway has not started since"
	}
	var lost, next []string
	if n := len(r.Sessions); n > 0 {
		lost = append(lost, fmt.Sprintf("the log knows %d session(s) that the database does not: %s", n, few(r.Sessions)))
		next = append(next, "The log proves that these sessions took place; their rows are lost.")
	}
	if n := len(r.Devices); n > 0 {
		lost = append(lost, fmt.Sprintf("the log knows %d device(s) that the database does not: %s", n, few(r.Devices)))
		next = append(next, "Enrol these devices again.")
	}
	if len(r.LeftOut) > 0 {
		lost = append(lost, fmt.Sprintf("%d damaged file(s) of recordings were left out: %s", len(r.LeftOut), few(r.LeftOut)))
		next = append(next, "Look for these files in another backup. The log proves that the recordings existed.")
	}
	switch {
	case len(lost) > 0:
		next = append(next, filepath.Join(dir, "restored.json")+" lists all of them.")
		return "", odd(text+"; "+strings.Join(lost, "; "), strings.Join(next, " "))
	case r.Examined > 0:
		text += "; every session and device of the log is in the database"
	}
	return text, nil
}

func few(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
