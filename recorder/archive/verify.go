package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/reader"
)

// Verify checks one part against what is known of it from elsewhere, with the archive's reading key: levels A and B.
func (a *Archive) Verify(ctx context.Context, p Part, opt reader.VerifyOptions) (*reader.Report, error) {
	opt.File = format.FileName(p.Session, p.Part)
	f, err := files.Open(a.cfg.Dir, opt.File, p.Started)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoRecord.Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("verify recording: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("verify recording: %w", err)
	}
	rk, err := a.unlock(p)
	if err != nil {
		return nil, err
	}
	defer clear(rk[:])
	opt.RK = &rk
	return reader.Verify(ctx, f, info.Size(), opt)
}
