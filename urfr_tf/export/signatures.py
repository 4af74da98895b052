"""The mathematics of the SavedModel's signatures: pure functions of tensors (method, section 6).

An embedding here is what `serving_default` gives: [N, D] of norm 1, each of its K groups of norm
1/sqrt(K). `urfr_tf.metrics` holds the same formulas in NumPy on unit groups [N, K, d].
"""

import tensorflow as tf

LARGEST_SIDE = 2048
_PNG = b"\x89PNG\r\n\x1a\n"


def cosine_score(embedding_a: tf.Tensor, embedding_b: tf.Tensor) -> tf.Tensor:
    """Cosine of each pair of embeddings, float32 [N, D] twice -> [N] in -1..1."""
    return tf.reduce_sum(tf.math.l2_normalize(embedding_a, -1) * tf.math.l2_normalize(embedding_b, -1), -1)


def likelihood_score(
    embedding_a: tf.Tensor, variance_a: tf.Tensor, embedding_b: tf.Tensor, variance_b: tf.Tensor
) -> tf.Tensor:
    """Mutual likelihood of each pair (method, section 6), up to its constant.

    -1/2 sum_k [ |f_a,k - f_b,k|^2 / (v_a,k + v_b,k) + (D/K) log(v_a,k + v_b,k) ]

    Args:
        embedding_a, embedding_b: float32 [N, D], groups of norm 1/sqrt(K).
        variance_a, variance_b: float32 [N, K], above 0.

    Returns:
        float32 [N]; larger is more alike. No fixed range.
    """
    groups = variance_a.shape[-1]
    dim = embedding_a.shape[-1] // groups
    difference = tf.reshape(embedding_a - embedding_b, [-1, groups, dim]) * float(groups) ** 0.5
    variance = variance_a + variance_b
    terms = tf.reduce_sum(tf.square(difference), -1) / variance + float(dim) * tf.math.log(variance)
    return -0.5 * tf.reduce_sum(terms, -1)


def fuse_templates(
    embedding: tf.Tensor, variance: tf.Tensor, template: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Fuses the images of each template (method, section 6): inverse-variance mean, least variance.

    Args:
        embedding: float32 [N, D], groups of norm 1/sqrt(K).
        variance: float32 [N, K], above 0.
        template: int32 [N], the template of each image, any values.

    Returns:
        embedding float32 [T, D], each group renormalized to 1/sqrt(K) (a group whose images cancel
        out stays 0), and variance float32 [T, K], the least of the template's images; the T distinct
        templates in rising order. The order of the images changes nothing but the last bits.
    """
    groups, width = variance.shape[-1], embedding.shape[-1]
    templates, position = tf.unique(template)
    count = tf.size(templates)
    segment = tf.gather(tf.math.invert_permutation(tf.argsort(templates)), position)
    weighted = tf.reshape(embedding, [-1, groups, width // groups]) / variance[:, :, None]
    total = tf.math.unsorted_segment_sum(weighted, segment, count)
    unit = tf.math.l2_normalize(total, -1, epsilon=1e-12)
    fused = tf.reshape(unit, [-1, width]) * float(groups) ** -0.5
    return fused, tf.math.unsorted_segment_min(variance, segment, count)


def crop_center(images: tf.Tensor, size: int) -> tf.Tensor:
    """Crops images [B, H, W, 3] to [B, size, size, 3] about the center (rounded up and left).

    Raises:
        tf.errors.InvalidArgumentError: when run, H or W is below `size`.
    """
    shape = tf.shape(images)
    enough = tf.debugging.assert_greater_equal(
        tf.reduce_min(shape[1:3]), size, message=f"image must be at least {size} x {size} pixels"
    )
    with tf.control_dependencies([enough]):
        top, left = (shape[1] - size) // 2, (shape[2] - size) // 2
    crops = images[:, top : top + size, left : left + size]
    return tf.ensure_shape(crops, [None, size, size, 3])


def decode_crop(image_bytes: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes one JPEG or PNG to float32 [size, size, 3], RGB, 0..255, center-cropped.

    Grey images are repeated over RGB, CMYK is converted, alpha is dropped, 16 bits become 8, of an
    animated PNG the first picture counts, and a rotation in EXIF is ignored: an aligned crop has none.

    Raises:
        tf.errors.InvalidArgumentError: when run: not JPEG or PNG, truncated, a side above 2048 px
            (read from the header, nothing is decoded), or smaller than `size`.
    """
    jpeg = tf.io.is_jpeg(image_bytes)
    length = tf.strings.length(image_bytes)
    png = (length > 32) & (tf.strings.substr(image_bytes, 0, tf.minimum(length, 8)) == _PNG)
    known = tf.debugging.Assert(
        jpeg | png, ["image_bytes must be a JPEG or PNG image, but got", length, "other bytes"]
    )
    with tf.control_dependencies([known]):
        image_bytes = tf.identity(image_bytes)
    sides = tf.cond(
        jpeg,
        lambda: tf.image.extract_jpeg_shape(image_bytes)[:2],
        lambda: _png_sides(image_bytes),
    )
    small = tf.debugging.Assert(
        tf.reduce_all((sides > 0) & (sides <= LARGEST_SIDE)),
        [f"image_bytes must have sides of 1 to {LARGEST_SIDE} pixels, but got", sides],
    )
    with tf.control_dependencies([small]):
        image_bytes = tf.identity(image_bytes)
    image = tf.cond(
        jpeg,
        # The accurate DCT is what OpenCV uses: the default of some builds is not.
        lambda: tf.io.decode_jpeg(image_bytes, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(image_bytes, channels=3),
    )
    return tf.cast(crop_center(image[None], size)[0], tf.float32)


def _png_sides(image_bytes: tf.Tensor) -> tf.Tensor:
    # IHDR comes first: after 8 bytes of signature, 4 of length and 4 of name, width and height.
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(image_bytes, 16, 8), tf.uint8), tf.int64)
    sides = tf.reduce_sum(
        tf.reshape(header, [2, 4]) * tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64), 1
    )
    return tf.cast(tf.minimum(sides, 1 << 30), tf.int32)
