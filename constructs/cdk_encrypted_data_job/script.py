"""What Glue is given as the job's script; the package comes with `--extra-py-files`."""

import sys

from cdk_encrypted_data_job.__main__ import main

if __name__ == "__main__":
    main(sys.argv[1:])
