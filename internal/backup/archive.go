package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The directory of an archive. Whoever writes to the backup's disk can put a link or a FIFO there, so everything is
// read and written below an os.Root: no link leads out of it, and nothing waits for a writer.

// archiveDir gives the directory of an archive below dir, the directory that a command names.
func archiveDir(dir string, k Kind) string { return filepath.Join(dir, string(k)) }

// openArchive opens the directory of an archive below dir, which only a backup makes.
func openArchive(dir string, kind Kind, make bool) (*os.Root, error) {
	if make {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() { // os.OpenRoot would wait for the writer of a FIFO
		return nil, notDirectory(dir)
	}
	top, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	if make {
		if err := top.MkdirAll(string(kind), 0o700); err != nil {
			return nil, err
		}
	}
	if info, err = top.Stat(string(kind)); err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, notDirectory(archiveDir(dir, kind))
	}
	return top.OpenRoot(string(kind))
}

func notDirectory(path string) error {
	return &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
}

// openDirectory opens a directory for reading.
func openDirectory(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
}

// syncIn makes the names in a directory of an archive durable.
func syncIn(root *os.Root, name string) error {
	d, err := openDirectory(root, name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// removeParts removes the sets that interrupted backups left.
func removeParts(root *os.Root) error {
	d, err := openDirectory(root, setsDir)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	for _, name := range names {
		if strings.HasSuffix(name, partSuffix) {
			err = errors.Join(err, root.RemoveAll(setsDir+"/"+name))
		}
	}
	return err
}
