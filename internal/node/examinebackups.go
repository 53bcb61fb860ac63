package node

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/sallyport/sallyport/internal/backup"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
)

// backupAge is how old the last backup may be: backups are made each night, and one may be missed.
const backupAge = 48 * time.Hour

// clocksApart is how far in the future the last backup may be: the clock was set back since.
const clocksApart = time.Hour

// backups says when the last complete backup of each archive was made.
func (e *examination) backups() {
	if len(e.c.Backup.Recipients) == 0 {
		e.add("backup", func() (string, error) {
			return "", partly("[backup] recipients is missing, so no backup can be made",
				"Without one, a lost disk takes the keys and the database with it: docs/backup.md.")
		})
		return
	}
	if _, err := backup.Recipients(e.c); err != nil {
		e.add("backup keys", func() (string, error) { return "", unsealable(err) })
	}
	e.add("backup of the gateway", func() (string, error) { return lastBackup(e.c, backup.Gateway, time.Now()) })
	e.add("backup of the signer", func() (string, error) { return lastBackup(e.c, backup.Signer, time.Now()) })
}

// unsealable says that the next backup will fail. It is a weakness, because the gateway works without one.
func unsealable(err error) error {
	text, hint := err.Error(), ""
	if k, ok := errkind.Of(err); ok {
		text, hint = k.Text, k.Hint
	}
	return partly("no backup can be made: "+text, hint)
}

// lastBackup reads the newest complete set in the directory that the last backup was written to. It does not rely on
// last-backup.json alone, because the disk may have been replaced since.
func lastBackup(c *config.Config, kind backup.Kind, now time.Time) (string, error) {
	last, err := backup.ReadLast(c, kind)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", partly("not known: "+err.Error(), "Run this as root.")
	case err != nil:
		return "", partly("not known: "+err.Error(), "The next backup writes this file again.")
	case last == nil:
		return "", partly("none was made since this directory was created or restored",
			"Enable the timers of docs/backup.md, or run `sallyport backup --config FILE --to DIR`.")
	}
	made, err := backup.Newest(last.To, kind)
	if err != nil && errkind.KindOf(err) == errkind.Conflict {
		return "", err
	}
	if err != nil {
		return "", partly(fmt.Sprintf("the last one was written to %s at %s and cannot be read: %v", last.To,
			minute(last.Made), err), "Check that its disk is mounted, and run this as root.")
	}
	return aged(made, last.To, now)
}

// aged says how old a set is. A time up to an hour ahead counts as now, because two clocks may differ.
func aged(made time.Time, dir string, now time.Time) (string, error) {
	age := now.Sub(made)
	text := fmt.Sprintf("the last complete one in %s was made at %s", dir, minute(made))
	if age < -clocksApart {
		return "", partly(text+", which is in the future",
			"A clock was wrong when it was made, so its age is not known. Make a new one.")
	}
	text += fmt.Sprintf(", %s ago", hours(max(age, 0)))
	if age > backupAge {
		return "", partly(text, fmt.Sprintf("It should not be older than %s. `journalctl -u sallyport-backup -u "+
			"sallyport-signer-backup` says why no newer one was made.", hours(backupAge)))
	}
	return text, nil
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func hours(d time.Duration) string {
	if d < 2*time.Hour {
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

// backupAges gives the age in seconds of the last backup of each archive that this process may know of; infinite: none
// was made, or its age is not known, so that an alarm above an age rings for both. It reads the gateway's own disk
// alone: a backup's disk that hangs must not stop the metrics.
func backupAges(c *config.Config, now time.Time) map[backup.Kind]float64 {
	out := map[backup.Kind]float64{}
	kinds := []backup.Kind{backup.Gateway}
	if c.Signer.Dir == "" { // the gateway may not read a separate signer's directory
		kinds = append(kinds, backup.Signer)
	}
	for _, kind := range kinds {
		switch last, err := backup.ReadLast(c, kind); {
		// doctor says what is wrong; a damaged file is written again by the next backup
		case err != nil, last == nil, now.Sub(last.Made) < -clocksApart:
			out[kind] = math.Inf(1)
		default:
			out[kind] = max(0, now.Sub(last.Made).Seconds())
		}
	}
	return out
}
