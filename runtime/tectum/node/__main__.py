"""`python -m tectum.node`: see `tectum.node.process`."""

from tectum.node.process import leave, main

leave(main())
