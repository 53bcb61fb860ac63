package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// empty refuses a directory that is missing or not empty, and names the content and the next step. A gateway that was
// started before its restore leaves a database and keys there.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return errkind.New(errkind.Usage, dir+" does not exist").
			WithHint("Make it for the user that it will belong to: install -d -m 0700 -o USER " + dir)
	}
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if e.Name() != "lost+found" {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil
	}
	shown := names[:min(len(names), 8)]
	return errkind.New(errkind.Conflict, fmt.Sprintf("%s is not empty: %s are in the way (%d in all)", dir,
		strings.Join(shown, ", "), len(names))).
		WithHint("A restore never overwrites newer data. Stop the programs that use the directory, move its content " +
			"away as root, and run this again: `" + moveAway(dir, time.Now()) + "`")
}

// moveAway gives the shell command that moves the content of dir to a new directory beside it. The directory itself
// stays, because it may be a mount point.
func moveAway(dir string, now time.Time) string {
	to := dir + ".before-" + now.UTC().Format("20060102T150405Z")
	return fmt.Sprintf("install -d -m 0700 %s && find %s -mindepth 1 -maxdepth 1 ! -name lost+found -exec mv -t %s {} +",
		to, dir, to)
}

// Unfinished returns an error of kind errkind.Conflict if a restore into dir did not finish, and nil otherwise.
func Unfinished(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, restoring)); err != nil {
		return nil
	}
	return errkind.New(errkind.Conflict, fmt.Sprintf("a restore into %s did not finish", dir)).
		WithHint("Run `sallyport restore` again: it prints the command that moves the unfinished files away.")
}
