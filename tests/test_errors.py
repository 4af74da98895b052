"""The words of an error of a library."""

import tensorflow as tf

from urfr_tf.errors import reason_of


def test_the_reason_of_an_error_comes_after_its_stack_trace():
    message = (
        "Graph execution error:\n\nDetected at node CollectiveReduceV2 defined at (most recent call last):\n"
        '  File "<frozen runpy>", line 198, in _run_module_as_main\n\n  sys.exit(main())\n\n'
        "Collective ops is aborted by: Socket closed\nThe error could be from a previous operation."
    )
    error = tf.errors.UnavailableError(None, None, message)
    assert reason_of(error) == "Collective ops is aborted by: Socket closed"
