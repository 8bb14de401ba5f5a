r"""Public datasets in the form of COCO: 2D keypoints of hands in photos.

    coco_wholebody   annotations/coco_wholebody_train_v1.0.json, ..._val_v1.0.json and
                     train2017/*.jpg, val2017/*.jpg
                     https://github.com/jin-s13/COCO-WholeBody
    halpe            annotations/halpe_train_v1.json, halpe_val_v1.json and
                     hico_20160224_det/images/train2015/*.jpg, val2017/*.jpg
                     https://github.com/Fang-Haoshu/Halpe-FullBody
    onehand10k       annotations/onehand10k_train.json, ..._test.json of mmpose and
                     Train/source/*.jpg, Test/source/*.jpg
    panoptic2d       annotations/panoptic_train.json, ..._test.json of mmpose, and
                     hand143_panopticdb/imgs/*.jpg, hand_labels/*/*.jpg

Build them:

    bmc-jax build coco_wholebody --source coco --out ~/data
    bmc-jax build onehand10k --source onehand10k --hand right --out ~/data

The annotations may lie in the folder itself, too, and images in `images`. Either split
may be missing. All else is as `coco_hands` says, but pixels are counted from 0
(`pixel_center` is 0). Of COCO-WholeBody and Halpe each valid hand of a person with a
labelled keypoint, and of 2 pixels or more, becomes an example; the others are left out
and counted. Their person's box is not used.

OneHand10K, and Panoptic's hands as mmpose has them, do not tell left from right:
`--hand` says it for all of them, and those of the other side are then wrong, which 2D
labels alone do not show. mmpose's JSON of RHD (built as `coco_hands`) has its fingers
from tip to base beside names that say the contrary; they are turned. `rhd` reads its 3D
labels.

Tested on generated folders of this layout, no real sample was at hand.
"""

import tensorflow_datasets as tfds

from .coco_hands import CocoHands

_VERSION = tfds.core.Version('1.0.0')
_NOTES = {'1.0.0': 'First release.'}


class CocoWholebody(CocoHands):
  """Hands of COCO's persons, labelled by COCO-WholeBody."""

  VERSION, RELEASE_NOTES = _VERSION, _NOTES
  HOMEPAGE = 'https://github.com/jin-s13/COCO-WholeBody'
  CITATION = """\
@inproceedings{jin2020wholebody,
  title={Whole-Body Human Pose Estimation in the Wild},
  author={Jin, Sheng and Xu, Lumin and Xu, Jin and Wang, Can and Liu, Wentao and
    Qian, Chen and Ouyang, Wanli and Luo, Ping},
  booktitle={European Conference on Computer Vision},
  year={2020}
}
"""
  LICENSE = 'Research and non-commercial use only; the images have their own terms.'


class Halpe(CocoHands):
  """Hands of the persons of HICO-DET and COCO, labelled by Halpe Full-Body."""

  VERSION, RELEASE_NOTES = _VERSION, _NOTES
  HOMEPAGE = 'https://github.com/Fang-Haoshu/Halpe-FullBody'
  CITATION = """\
@article{alphapose,
  title={AlphaPose: Whole-Body Regional Multi-Person Pose Estimation and Tracking in
    Real-Time},
  author={Fang, Hao-Shu and Li, Jiefeng and Tang, Hongyang and Xu, Chao and Zhu, Haoyi
    and Xiu, Yuliang and Li, Yong-Lu and Lu, Cewu},
  journal={IEEE Transactions on Pattern Analysis and Machine Intelligence},
  year={2022}
}
"""
  LICENSE = 'Non-commercial research; the images have their own terms.'


class Onehand10k(CocoHands):
  """OneHand10K's hands, as mmpose's JSON has them."""

  VERSION, RELEASE_NOTES = _VERSION, _NOTES
  HOMEPAGE = 'https://www.yangangwang.com/papers/WANG-MCC-2018-10.html'
  CITATION = """\
@article{wang2018mask,
  title={Mask-pose Cascaded CNN for 2D Hand Pose Estimation from Single Color Image},
  author={Wang, Yangang and Peng, Cong and Liu, Yebin},
  journal={IEEE Transactions on Circuits and Systems for Video Technology},
  year={2018}
}
"""
  LICENSE = 'See the web page; ask its authors.'


class Panoptic2d(CocoHands):
  """CMU Panoptic's hands, as mmpose's JSON has them."""

  VERSION, RELEASE_NOTES = _VERSION, _NOTES
  HOMEPAGE = 'http://domedb.perception.cs.cmu.edu/handdb.html'
  CITATION = """\
@inproceedings{simon2017hand,
  title={Hand Keypoint Detection in Single Images using Multiview Bootstrapping},
  author={Simon, Tomas and Joo, Hanbyul and Matthews, Iain and Sheikh, Yaser},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition},
  year={2017}
}
"""
  LICENSE = 'Non-commercial research only; see the web page.'
