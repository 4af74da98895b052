"""Sources, the TFRecord schema, preparation, and the tf.data pipeline."""
