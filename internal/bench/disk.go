package main

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// disk measures what one durable write costs on the file system that the records are on: 4 KiB into a file that was
// written before, as the journal is.
type disk struct {
	f    *os.File
	n    int64
	took samples
}

const (
	diskBlock  = 4 << 10
	diskBlocks = 1 << 10
)

func newDisk(dir string) (*disk, error) {
	f, err := os.Create(filepath.Join(dir, "disk"))
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(make([]byte, diskBlock*diskBlocks)); err != nil {
		return nil, err
	}
	return &disk{f: f}, f.Sync()
}

// sync measures n writes, with a pause like a typist's between them.
func (d *disk) sync(n int) error {
	block := make([]byte, diskBlock)
	for range n {
		if _, err := d.f.WriteAt(block, d.n%diskBlocks*diskBlock); err != nil {
			return err
		}
		d.n++
		began := time.Now()
		if err := unix.Fdatasync(int(d.f.Fd())); err != nil {
			return err
		}
		d.took.add(time.Since(began))
		time.Sleep(keyPause)
	}
	return nil
}
